# Every library outside the tree is found here, once. tools/packages.txt names their Debian packages.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Boost REQUIRED CONFIG COMPONENTS headers)
find_package(HDF5 REQUIRED COMPONENTS C)
find_package(CAF REQUIRED COMPONENTS core io)
find_package(ZLIB REQUIRED)
find_package(zstd REQUIRED CONFIG)
find_library(XXHASH_LIBRARY xxhash REQUIRED)  # no package configuration in Debian
add_library(xxhash::xxhash UNKNOWN IMPORTED)
set_target_properties(xxhash::xxhash PROPERTIES IMPORTED_LOCATION ${XXHASH_LIBRARY})
find_library(CSV_LIBRARY csv REQUIRED)
add_library(csv::csv UNKNOWN IMPORTED)
set_target_properties(csv::csv PROPERTIES IMPORTED_LOCATION ${CSV_LIBRARY})
find_library(SENTENCEPIECE_LIBRARY sentencepiece REQUIRED)
find_library(SENTENCEPIECE_TRAIN_LIBRARY sentencepiece_train REQUIRED)
add_library(sentencepiece::sentencepiece UNKNOWN IMPORTED)
set_target_properties(sentencepiece::sentencepiece PROPERTIES IMPORTED_LOCATION ${SENTENCEPIECE_LIBRARY}
                      INTERFACE_LINK_LIBRARIES ${SENTENCEPIECE_TRAIN_LIBRARY})
# In a prefix other than the system's nobody else's include directory has it.
find_path(SENTENCEPIECE_INCLUDE_DIR sentencepiece_processor.h REQUIRED)
set_target_properties(sentencepiece::sentencepiece PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${SENTENCEPIECE_INCLUDE_DIR})
# LibTorch 2.4 to 2.7 name a library that CUDA has no more since 12.9; nothing here needs it.
if(STARLING_CUDA AND NOT TARGET CUDA::nvToolsExt)
  add_library(CUDA::nvToolsExt INTERFACE IMPORTED)
endif()
set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)  # LibTorch's
# Whatever LibTorch or the environment say: older devices lack what our kernels use.
set(STARLING_CUDA_ARCHITECTURES "80;90" CACHE STRING "Compute capabilities that kernels are compiled for, 80 at least")
list(TRANSFORM STARLING_CUDA_ARCHITECTURES REPLACE "([0-9][a-z]?)$" ".\\1" OUTPUT_VARIABLE TORCH_CUDA_ARCH_LIST)
find_package(Torch REQUIRED)
if(STARLING_CUDA AND NOT TORCH_CUDA_LIBRARIES)
  message(FATAL_ERROR "The LibTorch in ${TORCH_INSTALL_PREFIX} has no CUDA. Name one that has: "
                      "cmake --preset cuda -DCMAKE_PREFIX_PATH=<prefix> (for a Python PyTorch: torch.utils.cmake_prefix_path).")
endif()
if(TORCH_CXX_FLAGS MATCHES "_GLIBCXX_USE_CXX11_ABI=0")
  message(FATAL_ERROR "The LibTorch in ${TORCH_INSTALL_PREFIX} has the old ABI of libstdc++, as Python's packages of it mostly had before 2.7; "
                      "CAF, HDF5 and fmt have the new one. Take a later one, or a LibTorch that is marked cxx11-abi.")
endif()
if(STARLING_CUDA)
  enable_language(CUDA)
  # Where nvcc's host compiler is an older one than the C++ compiler, its standard library must not be found first.
  list(FILTER CMAKE_CUDA_IMPLICIT_LINK_DIRECTORIES EXCLUDE REGEX "/gcc/")
  find_package(CUDAToolkit REQUIRED)
endif()
if(STARLING_TESTS)
  find_package(GTest REQUIRED)
endif()
if(STARLING_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()

# LibTorch's own target carries warnings and options we do not want in the tree: headers as system headers.
add_library(starling_torch INTERFACE)
target_link_libraries(starling_torch INTERFACE ${TORCH_LIBRARIES})
target_include_directories(starling_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
