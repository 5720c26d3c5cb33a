/* The program: everything is in the library, so that tests can link it. */
#include "weir_gateway.h"

int main(int argc, char **argv)
{
    return weir_main(argc, argv);
}
