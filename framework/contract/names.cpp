#include <cohort/contract.hpp>

namespace cohort {

const char* to_string(durability d) { return d == durability::journaled ? "journaled" : "volatile"; }

const char* to_string(reads r) {
  switch (r) {
    case reads::linearizable:
      return "linearizable";
    case reads::lease:
      return "lease";
    case reads::local:
      return "local";
  }
  return "?";
}

const char* to_string(failure_model m) {
  switch (m) {
    case failure_model::fail_stop:
      return "fail_stop";
    case failure_model::crash:
      return "crash";
    case failure_model::timing:
      return "timing";
    case failure_model::byzantine:
      return "byzantine";
  }
  return "?";
}

const char* to_string(partition_policy p) { return p == partition_policy::primary ? "primary" : "partitionable"; }

const char* to_string(merge_policy m) {
  switch (m) {
    case merge_policy::none:
      return "none";
    case merge_policy::application:
      return "application";
    case merge_policy::largest_component:
      return "largest_component";
    case merge_policy::primary_descended:
      return "primary_descended";
  }
  return "?";
}

const char* to_string(slow_member s) {
  switch (s) {
    case slow_member::wait:
      return "wait";
    case slow_member::exclude:
      return "exclude";
    case slow_member::reject:
      return "reject";
  }
  return "?";
}

const char* to_string(reliability r) { return r == reliability::present ? "present" : "all_members"; }

const char* to_string(divergence_policy p) { return p == divergence_policy::report ? "report" : "stop"; }

const char* to_string(replication r) {
  switch (r) {
    case replication::none:
      return "none";
    case replication::active:
      return "active";
    case replication::primary_backup:
      return "primary_backup";
  }
  return "?";
}

const char* to_string(link_security s) { return s == link_security::open ? "open" : "authenticated"; }

}  // namespace cohort
