# The C++ side of tools/bench train.
if(STARLING_BENCHMARKS)
  add_executable(bench_train bench_train.cpp)
  target_link_libraries(bench_train PRIVATE starling_training starling_warnings CLI11::CLI11 fmt::fmt nlohmann_json::nlohmann_json)
endif()
