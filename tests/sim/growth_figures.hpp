#pragma once

#include <string>

namespace cohort::sim {

/// How the cost of a message and the time of a view change grow with the size of a group (docs/growth.md): a table on standard
/// output, and a plot as SVG if `svg_file` is not empty. Deterministic but for the column that measures processor time.
int print_growth_figures(const std::string& svg_file);

}  // namespace cohort::sim
