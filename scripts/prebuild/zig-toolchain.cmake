# For CMake: builds for macOS with the programs that scripts/prebuild/zig.mjs writes.
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_PROCESSOR $ENV{LOGITCORE_PROCESSOR})
set(CMAKE_C_COMPILER $ENV{LOGITCORE_TOOLS}/cc)
set(CMAKE_CXX_COMPILER $ENV{LOGITCORE_TOOLS}/c++)
set(CMAKE_AR $ENV{LOGITCORE_TOOLS}/ar CACHE FILEPATH "")
set(CMAKE_RANLIB $ENV{LOGITCORE_TOOLS}/ranlib CACHE FILEPATH "")
# The compiler has Apple's interfaces itself, and there is no path in the file to rewrite.
set(CMAKE_OSX_SYSROOT "")
set(CMAKE_OSX_DEPLOYMENT_TARGET "" CACHE STRING "")
set(CMAKE_INSTALL_NAME_TOOL true CACHE FILEPATH "")
set(CMAKE_SKIP_RPATH ON)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
