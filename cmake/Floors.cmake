# A floor is one static library with a view of its own headers: build/include/<floor>/starling/<floor> is a link to the
# floor's folder and a PUBLIC include directory. A target sees the headers of the floors it links and no others, so an
# include that points up the house does not compile.
#
#   starling_floor(<name> [SANITIZE] SOURCES <file>... [LINKS <target>...] [PRIVATE_LINKS <target>...])
#
# SANITIZE marks a floor without LibTorch: it gets ASan and UBSan where STARLING_SANITIZE is on.
function(starling_floor name)
  cmake_parse_arguments(FLOOR "SANITIZE" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  set(target starling_${name})
  add_library(${target} STATIC ${FLOOR_SOURCES})
  add_library(starling::${name} ALIAS ${target})
  set(view ${CMAKE_BINARY_DIR}/include/${name})
  file(MAKE_DIRECTORY ${view}/starling)
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${view}/starling/${name} SYMBOLIC)
  target_include_directories(${target} PUBLIC ${view})
  target_link_libraries(${target} PUBLIC ${FLOOR_LINKS} PRIVATE ${FLOOR_PRIVATE_LINKS} starling_warnings)
  if(FLOOR_SANITIZE)
    target_link_libraries(${target} PUBLIC starling_sanitizers)
  endif()
endfunction()

add_library(starling_warnings INTERFACE)
# nvcc hands warnings on to the host's compiler, whose -Wpedantic refuses what nvcc itself writes.
target_compile_options(starling_warnings INTERFACE $<$<COMPILE_LANGUAGE:C,CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wconversion;-Wno-sign-conversion>)

add_library(starling_sanitizers INTERFACE)
if(STARLING_SANITIZE)
  # -Og -g1: a quarter of the time of the tests, at no more of the compiler's; a debugger wants a build without sanitizers.
  # -fno-sanitize=null: headers of CAF bind null references. -Wno-maybe-uninitialized: GCC warns of its own std::function.
  target_compile_options(starling_sanitizers INTERFACE -Og -g1 -Wno-maybe-uninitialized -fsanitize=address,undefined -fno-sanitize=null
                         -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(starling_sanitizers INTERFACE -fsanitize=address,undefined)
endif()
