package actors

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sheaf-go/sheaf/backend"
	"github.com/sheaf-go/sheaf/vnode"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"
)

// spawnActors spawns the actors; vnodes are children of a supervisor that restarts them.
func (in *Instance[K, E, S, R]) spawnActors(newest *backend.Record) {
	in.system = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet(in.cfg.Log) }),
		actor.WithDeadLetterRequestLogging(false),
		// The library waits this long, in a goroutine, after a dead letter: none may outlive the instance.
		actor.WithDeadLetterThrottleInterval(time.Nanosecond),
	)
	in.system.ProcessRegistry.Address = in.self.Instance
	in.system.ProcessRegistry.RegisterAddressResolver(in.resolve)
	fatal := actor.WithGuardian(&guardian{in.stop})
	in.spawnVnodes()
	in.spawnCheckpointer(fatal)
	in.spawnFollower(fatal)
	if newest != nil {
		in.routes.Store(in.routeTo(in.newest.Load().view))
	}
	in.goLoops()
}

func (in *Instance[K, E, S, R]) spawnFollower(fatal actor.PropsOption) {
	in.follower = in.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &follower{in: in, began: time.Now()}
	}, fatal))
}

func (in *Instance[K, E, S, R]) spawnCheckpointer(fatal actor.PropsOption) {
	if in.isClient() {
		return
	}
	in.checkpointer = in.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &checkpointer{
			store: in.segments, identity: in.cfg.Identity, self: in.self, in: in,
			watch: in.watch, packers: freeList[backend.Packer]{most: 1},
		}
	}, fatal))
}

// quiet is the actor system's log: what it says below warnings is about its own working.
func quiet(log *zap.Logger) *slog.Logger {
	core, err := zapcore.NewIncreaseLevelCore(log.Core(), zapcore.WarnLevel)
	if err != nil {
		core = log.Core() // it shows no less than warnings already
	}
	return slog.New(zapslog.NewHandler(core, zapslog.WithName("protoactor")))
}

func (in *Instance[K, E, S, R]) spawnVnodes() {
	in.runners = newRunners(in.capacity())
	if in.isClient() {
		return
	}
	in.vnodes = make([]*actor.PID, in.capacity())
	in.living, in.greeted = make([]atomic.Bool, len(in.vnodes)), make([]atomic.Bool, len(in.vnodes))
	ready := make(chan struct{})
	in.supervisor = in.system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		if _, ok := ctx.Message().(*actor.Started); !ok {
			return
		}
		for v := range in.vnodes {
			poison := &vnode.Poison{Tries: in.cfg.Tries}
			in.vnodes[v] = ctx.Spawn(actor.PropsFromProducer(func() actor.Actor {
				return vnode.NewActor(vnode.ID(v), &in.cfg.App, in, poison)
			}, actor.WithDispatcher(in.runners)))
		}
		close(ready)
	}, actor.WithSupervisor(restart{})))
	<-ready
}

// restart is the supervision of vnodes: whatever happens, start a new life from the last sealed slice (I11). An event
// that keeps panicking is given up after some tries, and an attempt that fails is tried again later and later, so
// there is no bound on restarts.
type restart struct{}

var _ actor.SupervisorStrategy = restart{}

// HandleFailure restarts the child.
func (restart) HandleFailure(_ *actor.ActorSystem, s actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, _, _ any) {
	s.RestartChildren(child)
}

// guardian ends the instance when one of its own actors panics: a bug, of which nobody can tell what it has broken.
// What is sealed is safe, and what is not is replayed.
type guardian struct{ stop func(error) }

var _ actor.SupervisorStrategy = (*guardian)(nil)

// HandleFailure stops the child and the instance.
func (g *guardian) HandleFailure(_ *actor.ActorSystem, s actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, message any) {
	s.StopChildren(child)
	g.stop(fmt.Errorf("internal: %s panicked at a %T: %v", child.Id, message, reason))
}

// goLoops starts the long-lived goroutines.
func (in *Instance[K, E, S, R]) goLoops() {
	if in.isClient() {
		return
	}
	if in.clustered() {
		in.spawn(in.beatLoop)
	}
	in.spawn(in.restoreLoop)
	in.spawn(in.compactLoop)
	in.spawn(in.collectLoop)
	if in.elastic() {
		in.spawn(in.prepareLoop)
	}
}
