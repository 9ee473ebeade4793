#include <starling/actors/worker.hpp>

#include <caf/io/all.hpp>

#include <signal.h>
#include <unistd.h>

#include <iostream>
#include <thread>

#include <starling/actors/evaluator.hpp>
#include <starling/actors/interfaces.hpp>
#include <starling/base/error.hpp>

namespace starling::actors {
namespace {

std::string read_line_from_stdin() {
  std::string line;
  char byte = 0;
  while (read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n') line += byte;
  return line;
}

/// The other end of standard input is held by the coordinator alone: its end is the coordinator's.
void end_with_stdin() {
  std::thread([] {
    char ignored[64];
    while (read(STDIN_FILENO, ignored, sizeof ignored) > 0) {
    }
    _exit(0);
  }).detach();
}

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

int work(caf::actor_system& system, const SupervisorActor& supervisor, const WorkerHello& hello, const MakeWorkshop& make_workshop) {
  caf::scoped_actor self{system};
  WorkerWelcome welcome;
  std::string refused;
  self->request(supervisor, std::chrono::seconds(30), hello_atom_v, hello)
      .receive([&](WorkerWelcome& answer) { welcome = std::move(answer); },
               [&](const caf::error& error) { refused = system.render(error); });
  if (!refused.empty()) {
    std::cerr << hello.worker << ": the coordinator refused: " << refused << '\n';
    return 1;
  }
  Workshop workshop;
  try {
    workshop = make_workshop(welcome.experiment_toml, welcome.run_directory);
  } catch (const std::exception& error) {
    const bool bad_input = dynamic_cast<const UserError*>(&error) != nullptr;
    std::cerr << hello.worker << ": " << error.what() << '\n';
    self->send(supervisor, refuse_atom_v, hello.worker, std::string(error.what()), bad_input);
    pause();  // until standard input ends, or the coordinator kills it: the message must not be lost with the connection
    return 1;
  }
  std::vector<ReferenceMessage> references;
  for (auto& reference : workshop.references) references.push_back({std::move(reference)});
  self->send(supervisor, ready_atom_v, hello.worker, std::move(references));
  const auto work = system.spawn<caf::detached>(trainer, std::move(workshop.evaluate));
  const auto front = system.spawn(
      evaluator,
      EvaluatorWiring{hello.worker, hello.device, welcome.population, welcome.recorder, caf::actor_cast<ControlActor>(supervisor), true},
      work);
  self->wait_for(front);
  return 0;
}

}  // namespace

int run_worker(const std::string& name, const std::string& device, const MakeWorkshop& make_workshop) {
  // What ends a search (Ctrl-C, a closed terminal, a batch system) reaches every process of the group; only the coordinator decides what it
  // means, and a worker ends with its standard input.
  for (const int number : {SIGINT, SIGHUP, SIGTERM, SIGUSR1, SIGPIPE}) signal(number, SIG_IGN);

  WorkerHello hello{.token = {}, .worker = name, .host = host_name(), .device = device, .pid = getpid()};
  const std::string introduction = read_line_from_stdin();
  const auto space = introduction.find(' ');
  int port = 0;
  try {
    if (space != std::string::npos) port = std::stoi(introduction.substr(0, space));
  } catch (const std::exception&) {
    port = 0;
  }
  if (port <= 0 || port > 65535) {
    std::cerr << "starling-worker: this command is started by 'starling run', which tells it where to connect on standard input\n";
    return 2;
  }
  hello.token = introduction.substr(space + 1);
  end_with_stdin();

  caf::actor_system_config config;
  config.add_message_types<caf::id_block::starling>();
  config.set("scheduler.policy", caf::atom("sharing"));
  config.set("scheduler.max-threads", std::size_t{1});
  config.load<caf::io::middleman>();
  caf::actor_system system{config};
  const auto supervisor = system.middleman().remote_actor<SupervisorActor>("127.0.0.1", static_cast<std::uint16_t>(port));
  if (!supervisor) {
    std::cerr << name << ": cannot reach the coordinator on 127.0.0.1:" << port << ": " << system.render(supervisor.error()) << '\n';
    return 1;
  }
  const int code = work(system, *supervisor, hello, make_workshop);
  std::cerr.flush();
  // Everything was sent or does not matter any more; waiting for the trainer to notice its stop flag is not worth anybody's time.
  _exit(code);
}

}  // namespace starling::actors
