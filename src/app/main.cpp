#include "app/command_line.hpp"

int main(int argc, char** argv) {
  return detection::app::run(argc, argv);
}
