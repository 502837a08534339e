#include "slotctl/command_line.hpp"

int main(int argc, char** argv) {
  return detection::slotctl::run(argc, argv);
}
