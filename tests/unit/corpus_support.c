#include "corpus_support.h"

#include <glib.h>

void corpus_each(const char *folder, int least, corpus_check check)
{
    g_autoptr(GDir) files = g_dir_open(folder, 0, NULL);
    const char *name;
    int count = 0;
    g_assert_nonnull(files);
    while ((name = g_dir_read_name(files))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autofree char *bytes = NULL;
        gsize length;
        g_test_message("%s", name);
        g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
        LLVMFuzzerTestOneInput((const uint8_t *)bytes, length);
        if (check)
            check(name, bytes, length);
        count++;
    }
    g_assert_cmpint(count, >=, least);
}
