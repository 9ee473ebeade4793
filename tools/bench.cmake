# What tools/bench runs.
if(STARLING_BENCHMARKS)
  add_executable(bench_train bench_train.cpp)
  target_link_libraries(bench_train PRIVATE starling_training starling_warnings CLI11::CLI11 fmt::fmt nlohmann_json::nlohmann_json)
  add_executable(bench_operators bench_operators.cpp)
  # As in operators: g++ 14 sees an overflow in LibTorch's headers where there is none.
  target_compile_options(bench_operators PRIVATE -Wno-array-bounds -Wno-stringop-overflow)
  target_link_libraries(bench_operators PRIVATE starling_training starling_warnings fmt::fmt)
endif()
