// A C++ library that is loaded while the program runs, as plugins are.
#include <vector>

extern "C" std::vector<char>* plugin_make() { return new std::vector<char>(4003); }

extern "C" void plugin_unmake(std::vector<char>* made) { delete made; }
