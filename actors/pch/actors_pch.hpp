#include "actors/caf_compat.hpp"
