#pragma once

namespace cohort::sim {

/// Measures in simulated time how often a living member is excluded and how soon a dead one is, with jitter and losses,
/// and prints both as tables (docs/detection.md). `hours` per row of the first, `trials` per row of the second.
int print_detection_figures(unsigned hours, unsigned trials);

}  // namespace cohort::sim
