# What `cmake --install` puts where: the three processes as tollway-<name>, with the manual page and
# the shells' completions that each prints from its own table of settings.
include(GNUInstallDirs)

# tollway_printed(PROCESS ARGUMENTS FILE FOLDER): a file that the process prints, for a folder.
function(tollway_printed process arguments file folder)
  set(path ${CMAKE_BINARY_DIR}/printed/${folder}/${file})
  get_filename_component(place ${path} DIRECTORY)
  file(MAKE_DIRECTORY ${place})
  separate_arguments(arguments)
  add_custom_command(OUTPUT ${path} COMMAND ${process} ${arguments} > ${path} DEPENDS ${process}
    COMMENT "${file}" VERBATIM)
  set_property(GLOBAL APPEND PROPERTY TOLLWAY_PRINTED ${path})
  install(FILES ${path} DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/${folder})
endfunction()

foreach(process ingest aggregator invoicer)
  if(TARGET ${process})
    install(PROGRAMS $<TARGET_FILE:${process}> DESTINATION ${CMAKE_INSTALL_BINDIR}
      RENAME tollway-${process})
    tollway_printed(${process} "--print-manual" tollway-${process}.1 man/man1)
    tollway_printed(${process} "--print-completion bash" tollway-${process}
      bash-completion/completions)
    tollway_printed(${process} "--print-completion zsh" _tollway-${process} zsh/site-functions)
    tollway_printed(${process} "--print-completion fish" tollway-${process}.fish
      fish/vendor_completions.d)
  endif()
endforeach()

get_property(printed GLOBAL PROPERTY TOLLWAY_PRINTED)
if(printed AND NOT TOLLWAY_SANITIZE)
  add_custom_target(printed ALL DEPENDS ${printed})
endif()
