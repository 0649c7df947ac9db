// Keeps every type of the test kernel in its PDB.
#include "nttypes.h"
