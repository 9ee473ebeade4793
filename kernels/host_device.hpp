// The one macro of the tree: functions that nvcc compiles for device and host alike; nothing to other compilers.
#pragma once

#if defined(__CUDACC__)
#define STARLING_DEVICE __host__ __device__
#else
#define STARLING_DEVICE
#endif
