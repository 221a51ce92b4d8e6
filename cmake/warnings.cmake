# The warnings, hardening and optimisation that every file of ours is compiled with.
add_library(tollway_warnings INTERFACE)
target_compile_options(tollway_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
  -Wformat=2 -Werror -fno-common -fno-strict-aliasing)
option(TOLLWAY_HARDEN "stack protector, fortify, full RELRO" ON)
if(TOLLWAY_HARDEN AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_options(tollway_warnings INTERFACE
    -fstack-protector-strong -fstack-clash-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  target_link_options(tollway_warnings INTERFACE -Wl,-z,relro,-z,now)
endif()
# gcc clears and copies structs of more than 32 bytes by `rep stos`, whose start alone takes longer than
# the stores: a rated line of 112 bytes took 10 ns more. They are cleared by sixteen bytes a store, but
# copied by eight: what was just written in halves can't be read whole before it is in the cache.
include(CheckCCompilerFlag)
set(TOLLWAY_STRUCT_FLAGS -mmemset-strategy=vector_loop:256:noalign,libcall:-1:noalign
  -mmemcpy-strategy=unrolled_loop:256:noalign,libcall:-1:noalign)
check_c_compiler_flag("${TOLLWAY_STRUCT_FLAGS}" TOLLWAY_HAS_STRUCT_FLAGS)
if(TOLLWAY_HAS_STRUCT_FLAGS)
  target_compile_options(tollway_warnings INTERFACE ${TOLLWAY_STRUCT_FLAGS})
endif()
# Assertions stay on in every build: NDEBUG is never defined.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
# All of it ends in programs. CMake's own setting compiles libraries by -fPIC,
# with which gcc puts no function in place that another object could replace.
add_compile_options(-fPIE)
add_link_options($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-pie>)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  add_link_options($<IF:$<BOOL:$<TARGET_PROPERTY:TOLLWAY_IS_WHOLE>>,-flto=auto,-fno-lto>)
endif()
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(TOLLWAY_SANITIZE "" CACHE STRING "address,undefined or thread")
if(TOLLWAY_SANITIZE)
  # gcc's guesses about lengths are worse in instrumented code; the release build has the better ones.
  add_compile_options(-Wno-format-truncation -Wno-stringop-overflow -Wno-maybe-uninitialized)
  add_compile_options(-O1 -fsanitize=${TOLLWAY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TOLLWAY_SANITIZE})
endif()
if(CMAKE_C_COMPILER_ID STREQUAL "Clang")
  target_compile_options(tollway_warnings INTERFACE
    -Wno-string-conversion -Wno-format-nonliteral) # assert(!"why"); vprintf of a checked format
endif()
option(TOLLWAY_FUZZ "build tests/fuzz as libFuzzer targets; needs clang" OFF)
if(TOLLWAY_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()
# A build along a profile: `write` makes programs that note in profile/ of the build folder which ways
# they go, `use` compiles along it. What no program went through is compiled as usual. scripts/build tuned
# does both; docs/decisions/tuned-build.md.
set(TOLLWAY_PROFILE "" CACHE STRING "write or use")
set(TOLLWAY_PROFILE_FOLDER ${CMAKE_BINARY_DIR}/profile)
if(TOLLWAY_PROFILE STREQUAL "write")
  add_compile_options(-fprofile-generate=${TOLLWAY_PROFILE_FOLDER} -fprofile-update=prefer-atomic)
  add_link_options(-fprofile-generate=${TOLLWAY_PROFILE_FOLDER})
elseif(TOLLWAY_PROFILE STREQUAL "use")
  add_compile_options(-fprofile-use=${TOLLWAY_PROFILE_FOLDER} -fprofile-partial-training)
  add_link_options(-fprofile-use=${TOLLWAY_PROFILE_FOLDER})
endif()
if(TOLLWAY_PROFILE) # its guesses about what isn't initialised are worse, too: the release build warns
  target_compile_options(tollway_warnings INTERFACE -Wno-error)
endif()
