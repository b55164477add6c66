#include "base/counter.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

const uint64_t histogram_bounds[HISTOGRAM_BOUNDS] = {
    50 * US, 100 * US, 250 * US, 500 * US, 1 * MS,    2500 * US, 5 * MS,    10 * MS,    25 * MS,
    50 * MS, 100 * MS, 250 * MS, 500 * MS, 1000 * MS, 2500 * MS, 5000 * MS, 10000 * MS,
};
