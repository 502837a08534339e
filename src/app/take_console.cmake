# cmake -D FROM=build/console/console.archive -D TO=copy -P take_console.cmake
# Takes the console where it was built; an empty file says that it was not. Written only when it is another one, so that
# nothing is linked anew for nothing.
if(EXISTS "${FROM}")
  file(COPY_FILE "${FROM}" "${TO}" ONLY_IF_DIFFERENT)
  return()
endif()
set(bytes -1)
if(EXISTS "${TO}")
  file(SIZE "${TO}" bytes)
endif()
if(NOT bytes EQUAL 0)
  file(WRITE "${TO}" "")
endif()
