#include "ctoml.h"
int ctoml_dummy(void){return 0;}
