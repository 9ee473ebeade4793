#include <starling/actors/engine.hpp>

#include <caf/io/all.hpp>

#include <future>

#include <starling/actors/supervisor.hpp>
#include <starling/base/error.hpp>

namespace starling::actors {

struct Engine::System {
  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> actors;
  SupervisorActor supervisor;
  std::future<RunResult> result;
  std::optional<RunResult> concluded;
};

Engine::Engine(EngineSetup setup) : system_(std::make_unique<System>()) {
  auto journal =
      setup.extension ? setup.extension->journal : std::make_shared<run::Journal>(run::Journal::create(setup.directory / "journal"));
  system_->config.add_message_types<caf::id_block::starling>();
  // The coordinator has little to do; waiting on a queue leaves the cores to the trainers where stealing polls.
  system_->config.set("scheduler.policy", caf::atom("sharing"));
  // Recorder and publisher block on the disk, each in a thread of its own while it does; two are left for everybody else. They are not
  // spawned detached, nor are CAF's own helpers: a system that ends waits without bound for the thread of a detached actor that anything
  // still refers to, which happened once in a hundred runs.
  system_->config.set("scheduler.max-threads", std::size_t{4});
  system_->config.set("middleman.attach-utility-actors", true);
  system_->config.load<caf::io::middleman>();
  system_->actors = std::make_unique<caf::actor_system>(system_->config);

  auto promise = std::make_shared<std::promise<RunResult>>();
  system_->result = promise->get_future();
  const bool in_process = static_cast<bool>(setup.evaluate);
  system_->supervisor =
      system_->actors->spawn(supervisor, std::make_shared<const EngineSetup>(std::move(setup)), std::move(journal),
                             std::function<void(RunResult)>([promise](RunResult result) { promise->set_value(std::move(result)); }));
  std::uint16_t port = 0;
  if (!in_process) {
    const auto published = system_->actors->middleman().publish(system_->supervisor, 0, "127.0.0.1");
    if (!published) {
      stop();  // the roles run already, and the system waits for them
      throw Failure("cannot listen on 127.0.0.1: " + system_->actors->render(published.error()));
    }
    port = *published;
  }
  caf::anon_send(system_->supervisor, begin_atom_v, port);
}

Engine::~Engine() {
  if (!system_->concluded) {
    stop();
    system_->result.wait();  // also over where the supervisor is gone
  }
  system_->supervisor = nullptr;
  system_->actors->await_all_actors_done();
}

void Engine::stop() { caf::anon_send(system_->supervisor, stop_atom_v); }

std::optional<RunResult> Engine::wait_for(std::chrono::milliseconds time) {
  if (!system_->concluded && system_->result.wait_for(time) == std::future_status::ready) {
    try {
      system_->concluded = system_->result.get();
    } catch (const std::future_error&) {  // CAF has printed the exception that ended it
      system_->concluded.emplace().reason = "the supervisor ended before the run did";
    }
  }
  return system_->concluded;
}

}  // namespace starling::actors
