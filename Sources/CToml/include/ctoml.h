#pragma once
int ctoml_dummy(void);
