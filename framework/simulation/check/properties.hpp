#pragma once

#include "framework/simulation/check/book.hpp"

namespace cohort::sim {

// One property each; the numbers are those of docs/protocol.md.
std::unique_ptr<checker> check_election_safety();       // I1
std::unique_ptr<checker> check_log_matching();          // I3
std::unique_ptr<checker> check_leader_completeness();   // I4
std::unique_ptr<checker> check_agreement();             // I5
std::unique_ptr<checker> check_cuts();                  // I6
std::unique_ptr<checker> check_payload_held();          // I7
std::unique_ptr<checker> check_lane_uniqueness();       // I8
std::unique_ptr<checker> check_incarnations();          // I9
std::unique_ptr<checker> check_total_order();           // I10, I16
std::unique_ptr<checker> check_sending_view();          // I12
std::unique_ptr<checker> check_view_synchrony(book&);   // I13
std::unique_ptr<checker> check_view_agreement();        // I14
std::unique_ptr<checker> check_reads();                 // I17
std::unique_ptr<checker> check_trim();                  // I18
std::unique_ptr<checker> check_wedge();                 // I19
std::unique_ptr<checker> check_stable_views();          // I21
std::unique_ptr<checker> check_outcomes();              // O10 and durability
std::unique_ptr<checker> check_agreed_time();
std::unique_ptr<checker> check_deadlines();             // DL1
std::unique_ptr<checker> check_bounded_memory();        // FC1, FC2, S3
std::unique_ptr<checker> check_state_digests();
std::unique_ptr<checker> check_persist_before_send();   // D9
std::unique_ptr<checker> check_durability();            // X3
std::unique_ptr<checker> check_adaptation();            // X1, X10

// Of group communication: what applications see. They are told of everything after the book.
std::unique_ptr<checker> check_integrity(book&);
std::unique_ptr<checker> check_no_duplicates(book&);  // I16
std::unique_ptr<checker> check_fifo(book&);           // I11
std::unique_ptr<checker> check_causal_order(book&);         // I11
std::unique_ptr<checker> check_safe_delivery(book&);        // I15
std::unique_ptr<checker> check_self_inclusion(book&);
std::unique_ptr<checker> check_monotonic_views(book&);
std::unique_ptr<checker> check_primary_chain(book&);
std::unique_ptr<checker> check_accuracy(book&);
std::unique_ptr<checker> check_change_events(book&);
std::unique_ptr<checker> check_liveness(book&);
std::unique_ptr<checker> check_atomicity(book&);
std::unique_ptr<checker> check_reliability(book&);
std::unique_ptr<checker> check_gaps(book&);           // S4
std::unique_ptr<checker> check_transitional_sets(book&);  // V15
std::unique_ptr<checker> check_termination(book&);
std::unique_ptr<checker> check_losses(book&);

}  // namespace cohort::sim
