/* Files as they are served: their forms, the fields of each, and when they are not what they were.
 */
#include "file_faults.h"
#include "tree_support.h"

#include "http/date.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Longer than any file system's tick, so that what changes now is seen in its stamp. */
static void let_time_pass(void)
{
    g_usleep(25000);
}

/* As file_content_load(), for the error. */
static int load(const struct tree *tree, const char *name, bool may_wait)
{
    unsigned before = descriptors();
    struct file_content *content = NULL;
    int error = file_content_load(&tree->settings, &tree->root, name, may_wait, &content);
    g_assert_true(error ? content == NULL : content != NULL);
    file_content_release(content);
    g_assert_cmpuint(descriptors(), ==, before);
    return error;
}

static void begin(struct tree *tree)
{
    no_faults();
    clock_ahead_s = 60; /* nothing has been changed just now */
    tree_open(tree, NULL);
}

static void end(struct tree *tree)
{
    no_faults();
    tree_close(tree);
}

static char *of_length(size_t length)
{
    return g_strnfill(length, 'x');
}

/* --- forms --- */

enum { DESCRIPTOR = 262144 };

static void test_sizes(void)
{
    static const struct {
        size_t length;
        size_t memory_max;
        bool in_memory;
    } sizes[] = {{0, 0, true},      {0, 1000, true},    {1, 0, false},       {1, 1, true},
                 {999, 1000, true}, {1000, 1000, true}, {1001, 1000, false}, {300000, 1000, false}};
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        struct tree tree;
        g_autofree char *bytes = of_length(sizes[i].length);
        begin(&tree);
        tree.settings.memory_max = sizes[i].memory_max;
        tree.settings.descriptor_bytes = DESCRIPTOR;
        tree_write(&tree, "a.bin", bytes, sizes[i].length);
        unsigned before = descriptors();
        struct file_content *content = tree_load(&tree, "a.bin");
        const struct file_form *form = &content->forms[CODING_IDENTITY];
        g_assert_true(file_form_is_there(form));
        g_assert_cmpuint(form->length, ==, sizes[i].length);
        g_assert_cmpuint(descriptors(), ==, before + !sizes[i].in_memory);
        g_assert_cmpint(form->fd >= 0, ==, !sizes[i].in_memory);
        if (sizes[i].in_memory)
            g_assert_cmpmem(form->body, form->length, bytes, sizes[i].length);
        else
            g_assert_null(form->body);
        g_assert_cmpuint(content->bytes, ==,
                         sizeof(*content) + form->lines_length +
                             (sizes[i].in_memory ? sizes[i].length : DESCRIPTOR));
        file_content_release(content);
        g_assert_cmpuint(descriptors(), ==, before);
        end(&tree);
    }
}

static const struct {
    const char *suffix;
    enum coding coding;
} siblings[] = {{".br", CODING_BR}, {".zst", CODING_ZSTD}, {".gz", CODING_GZIP}};

/* Every set of them. */
static void test_siblings(void)
{
    for (unsigned set = 0; set < 8; set++) {
        struct tree tree;
        begin(&tree);
        tree_write_text(&tree, "a.png", "file");
        for (unsigned i = 0; i < 3; i++) {
            g_autofree char *name = g_strconcat("a.png", siblings[i].suffix, NULL);
            if (set & 1u << i)
                tree_write_text(&tree, name, siblings[i].suffix);
        }
        struct file_content *content = tree_load(&tree, "a.png");
        g_assert_cmpint(content->varies, ==, set != 0);
        for (unsigned i = 0; i < 3; i++) {
            const struct file_form *form = &content->forms[siblings[i].coding];
            bool there = set & 1u << i;
            g_assert_cmpint(file_form_is_there(form), ==, there);
            g_assert_cmpint(file_content_offers(content, siblings[i].coding), ==, there);
            if (there)
                g_assert_cmpmem(form->body, form->length, siblings[i].suffix,
                                strlen(siblings[i].suffix));
        }
        g_assert_true(file_content_offers(content, CODING_IDENTITY));
        g_assert_cmpint(file_content_is_current(content, &tree.root, "a.png", true), ==, 1);
        file_content_release(content);
        end(&tree);
    }
}

/* Beside a file, whatever is no file is nothing; and without the file there is nothing to it. */
static void test_no_siblings(void)
{
    struct tree tree;
    begin(&tree);
    g_autofree char *directory = tree_name(&tree, "a.png.br");
    g_autofree char *fifo = tree_name(&tree, "a.png.zst");
    g_autofree char *link = tree_name(&tree, "a.png.gz");
    g_assert_cmpint(mkdir(directory, 0755), ==, 0);
    g_assert_cmpint(mkfifo(fifo, 0644), ==, 0);
    g_assert_cmpint(symlink("a.png", link), ==, 0);
    tree_write_text(&tree, "b.gz", "only");
    g_assert_cmpint(load(&tree, "a.png", true), ==, -ENOENT);
    g_assert_cmpint(load(&tree, "b", true), ==, -ENOENT);
    tree_write_text(&tree, "a.png", "file");
    struct file_content *content = tree_load(&tree, "a.png");
    g_assert_false(content->varies);
    for (int i = 0; i < CODING_IDENTITY; i++)
        g_assert_false(file_form_is_there(&content->forms[i]));
    g_assert_cmpint(file_content_is_current(content, &tree.root, "a.png", true), ==, 1);
    file_content_release(content);
    end(&tree);
}

/* --- what cannot be had --- */

static void test_errors(void)
{
    struct tree tree;
    begin(&tree);
    g_autofree char *fifo = tree_name(&tree, "fifo");
    g_autofree char *link = tree_name(&tree, "link");
    g_autofree char *secret = tree_name(&tree, "secret");
    g_autofree char *directory = tree_name(&tree, "directory");
    g_assert_cmpint(mkdir(directory, 0755), ==, 0);
    g_assert_cmpint(mkfifo(fifo, 0644), ==, 0);
    g_assert_cmpint(symlink("file", link), ==, 0);
    tree_write_text(&tree, "file", "file");
    tree_write_text(&tree, "secret", "secret");
    g_assert_cmpint(chmod(secret, 0), ==, 0);
    g_assert_cmpint(load(&tree, "directory", true), ==, -EISDIR);
    static const char *const missing[] = {"fifo", "link",         "missing", "missing/file",
                                          "",     "../file",      "/file",   "file/",
                                          "..",   "file/missing", "./file",  "directory/file"};
    for (size_t i = 0; i < G_N_ELEMENTS(missing); i++)
        g_assert_cmpint(load(&tree, missing[i], true), ==, -ENOENT);
    bool root = geteuid() == 0;
    g_assert_true(!root || seteuid(65534) == 0);
    int error = load(&tree, "secret", true);
    g_assert_true(!root || seteuid(0) == 0);
    g_assert_cmpint(error, ==, -EACCES);
    end(&tree);
}

/* An unreadable one beside the file is as good as none, and no reason to look again and again. */
static void test_unreadable_sibling(void)
{
    struct tree tree;
    begin(&tree);
    g_autofree char *secret = tree_name(&tree, "a.png.gz");
    tree_write_text(&tree, "a.png", "file");
    tree_write_text(&tree, "a.png.gz", "secret");
    g_assert_cmpint(chmod(secret, 0), ==, 0);
    bool root = geteuid() == 0;
    g_assert_true(!root || seteuid(65534) == 0);
    struct file_content *content = tree_load(&tree, "a.png");
    int current = file_content_is_current(content, &tree.root, "a.png", true);
    g_assert_true(!root || seteuid(0) == 0);
    g_assert_false(file_content_offers(content, CODING_GZIP));
    g_assert_cmpint(current, ==, 1);
    let_time_pass();
    g_assert_cmpint(chmod(secret, 0644), ==, 0);
    g_assert_cmpint(file_content_is_current(content, &tree.root, "a.png", true), ==, 0);
    file_content_release(content);
    end(&tree);
}

/* --- reading --- */

static struct tree *hooked;
static unsigned hooks_left;

static void grow(void)
{
    g_autofree char *path = tree_name(hooked, "a");
    if (!hooks_left)
        return;
    hooks_left--;
    FILE *file = g_fopen(path, "ae");
    fputs("more!", file);
    fclose(file);
    let_time_pass();
}

static void grow_much(void)
{
    g_autofree char *path = tree_name(hooked, "a");
    if (hooks_left)
        g_assert_cmpint(truncate(path, 50000), ==, 0);
    hooks_left = 0;
}

static void shrink(void)
{
    g_autofree char *path = tree_name(hooked, "a");
    if (!hooks_left)
        return;
    hooks_left--;
    g_assert_cmpint(truncate(path, 1 + hooks_left), ==, 0);
}

static void empty(void)
{
    g_autofree char *path = tree_name(hooked, "a");
    g_assert_cmpint(truncate(path, 0), ==, 0);
}

static const struct {
    void (*hook)(void);
    unsigned times;
    size_t length; /* of what was loaded */
    bool in_memory;
} changes[] = {
    {grow, 1, 10, true},  {grow, 2, 15, true},          {grow, 9, 20, false}, {shrink, 1, 1, true},
    {shrink, 2, 1, true}, {grow_much, 1, 50000, false}, {empty, 9, 0, true},
};

/* It is what the file was at one time, or it is sent from the file. */
static void test_changes_while_read(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(changes); i++) {
        struct tree tree;
        begin(&tree);
        tree_write_text(&tree, "a", "first");
        let_time_pass();
        hooked = &tree;
        hooks_left = changes[i].times;
        read_hook = changes[i].hook;
        struct file_content *content = tree_load(&tree, "a");
        no_faults();
        const struct file_form *form = &content->forms[CODING_IDENTITY];
        g_test_message("change %zu: %d bytes", i, (int)form->length);
        g_assert_cmpuint(form->length, ==, changes[i].length);
        g_assert_cmpuint(form->length, ==, form->stamp.size);
        g_assert_cmpint(form->body != NULL, ==, changes[i].in_memory);
        if (form->body)
            g_assert_true(memcmp(form->body, "firstmore!more!", form->length) == 0);
        file_content_release(content);
        end(&tree);
    }
}

static void test_read_errors(void)
{
    struct tree tree;
    begin(&tree);
    tree_write_text(&tree, "a", "hello");
    read_error = -EIO;
    g_assert_cmpint(load(&tree, "a", true), ==, -EIO);
    no_faults();
    read_error_once = -EINTR;
    read_most = 2;
    struct file_content *content = tree_load(&tree, "a");
    g_assert_cmpuint(reads, ==, 4);
    g_assert_cmpmem(content->forms[CODING_IDENTITY].body, 5, "hello", 5);
    file_content_release(content);
    end(&tree);
}

/* Without waiting: what is not in memory, or where nobody knows. */
static void test_not_waiting(void)
{
    static const int errors[] = {-EAGAIN, -EOPNOTSUPP};
    struct tree tree;
    begin(&tree);
    tree_write_text(&tree, "a", "hello");
    tree_write_text(&tree, "a.gz", "gz");
    g_assert_cmpint(load(&tree, "a", true), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(errors); i++) {
        read_error_nowait = errors[i];
        g_assert_cmpint(load(&tree, "a", false), ==, -EAGAIN);
        g_assert_cmpint(load(&tree, "a", true), ==, 0);
    }
    end(&tree);
}

/* --- changes afterwards --- */

static void chmod_file(const struct tree *tree)
{
    g_autofree char *path = tree_name(tree, "a.txt");
    g_assert_cmpint(chmod(path, 0600), ==, 0);
}

static void rewrite(const struct tree *tree)
{
    tree_write_text(tree, "a.txt", "FILE");
}

static void replace(const struct tree *tree)
{
    g_autofree char *from = tree_name(tree, "new");
    g_autofree char *to = tree_name(tree, "a.txt");
    tree_write_text(tree, "new", "file");
    g_assert_cmpint(rename(from, to), ==, 0);
}

static void delete_file(const struct tree *tree)
{
    tree_remove(tree, "a.txt");
}

static void directory_instead(const struct tree *tree)
{
    g_autofree char *path = tree_name(tree, "a.txt");
    tree_remove(tree, "a.txt");
    g_assert_cmpint(mkdir(path, 0755), ==, 0);
}

static void add_sibling(const struct tree *tree)
{
    tree_write_text(tree, "a.txt.zst", "zst");
}

static void change_sibling(const struct tree *tree)
{
    tree_write_text(tree, "a.txt.gz", "GZ");
}

static void delete_sibling(const struct tree *tree)
{
    tree_remove(tree, "a.txt.gz");
}

static void nothing(const struct tree *tree)
{
    tree_write_text(tree, "other", "other");
}

static void test_current(void)
{
    static const struct {
        void (*change)(const struct tree *tree);
        int current;
    } kinds[] = {{nothing, 1},     {chmod_file, 0},     {rewrite, 0},
                 {replace, 0},     {delete_file, 0},    {directory_instead, 0},
                 {add_sibling, 0}, {change_sibling, 0}, {delete_sibling, 0}};
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        struct tree tree;
        begin(&tree);
        tree_write_text(&tree, "a.txt", "file");
        tree_write_text(&tree, "a.txt.gz", "gz");
        struct file_content *content = tree_load(&tree, "a.txt");
        g_assert_false(content->racy);
        let_time_pass();
        kinds[i].change(&tree);
        g_test_message("change %zu", i);
        g_assert_cmpint(file_content_is_current(content, &tree.root, "a.txt", true), ==,
                        kinds[i].current);
        g_assert_cmpmem(content->forms[CODING_IDENTITY].body, 4, "file", 4);
        file_content_release(content);
        end(&tree);
    }
}

/* --- memory --- */

static void test_memory(void)
{
    struct tree tree;
    begin(&tree);
    g_autofree char *text = of_length(500);
    tree_write_text(&tree, "a.txt", text);
    tree_write_text(&tree, "a.txt.gz", "gz");
    int error = -ENOMEM;
    for (int n = 1; error; n++) {
        allocation_fails_in = n;
        error = load(&tree, "a.txt", true);
        g_assert_true(error == 0 || error == -ENOMEM);
        g_assert_true(error || allocation_fails_in > 0);
        g_assert_cmpint(n, <, 100);
    }
    end(&tree);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/file-content/sizes", test_sizes);
    g_test_add_func("/file-content/siblings", test_siblings);
    g_test_add_func("/file-content/no-siblings", test_no_siblings);
    g_test_add_func("/file-content/errors", test_errors);
    g_test_add_func("/file-content/unreadable-sibling", test_unreadable_sibling);
    g_test_add_func("/file-content/changes-while-read", test_changes_while_read);
    g_test_add_func("/file-content/read-errors", test_read_errors);
    g_test_add_func("/file-content/not-waiting", test_not_waiting);
    g_test_add_func("/file-content/current", test_current);
    g_test_add_func("/file-content/memory", test_memory);
    return g_test_run();
}
