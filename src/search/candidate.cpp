#include <starling/search/candidate.hpp>

namespace starling::search {

std::string to_string(Origin origin) {
  switch (origin) {
    case Origin::random:
      return "random";
    case Origin::crossover:
      return "crossover";
    case Origin::mutation:
      return "mutation";
    case Origin::baseline:
      return "baseline";
    case Origin::user:
      return "user";
  }
  return "unknown";
}

std::string to_string(Status status) {
  switch (status) {
    case Status::ok:
      return "ok";
    case Status::diverged:
      return "diverged";
    case Status::infeasible:
      return "infeasible";
    case Status::killed:
      return "killed";
    case Status::superseded:
      return "superseded";
  }
  return "unknown";
}

}  // namespace starling::search
