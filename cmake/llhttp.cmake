# llhttp: the system's library where there is one, else the C sources of Debian's node-llhttp package,
# compiled in strict mode (8.x needs it asked for; 9.x is strict by default).
find_path(LLHTTP_INCLUDE llhttp.h PATHS /usr/include /usr/share/include/llhttp)
find_library(LLHTTP_LIBRARY NAMES llhttp)
find_path(LLHTTP_SOURCES llhttp.c PATHS /usr/share/llhttp /usr/share/nodejs/llhttp/src NO_DEFAULT_PATH)
if(LLHTTP_LIBRARY AND LLHTTP_INCLUDE)
  add_library(tollway_llhttp INTERFACE)
  target_link_libraries(tollway_llhttp INTERFACE ${LLHTTP_LIBRARY})
  target_include_directories(tollway_llhttp SYSTEM INTERFACE ${LLHTTP_INCLUDE})
elseif(LLHTTP_SOURCES AND LLHTTP_INCLUDE)
  add_library(tollway_llhttp STATIC
    ${LLHTTP_SOURCES}/llhttp.c ${LLHTTP_SOURCES}/api.c ${LLHTTP_SOURCES}/http.c)
  target_compile_definitions(tollway_llhttp PRIVATE LLHTTP_STRICT_MODE=1)
  target_compile_options(tollway_llhttp PRIVATE -w)
  target_include_directories(tollway_llhttp SYSTEM PUBLIC ${LLHTTP_INCLUDE})
else()
  message(FATAL_ERROR "llhttp is missing: apt-get install node-llhttp (or libllhttp-dev)")
endif()
