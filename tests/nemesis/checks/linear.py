"""Linearizability of one register: the search of Wing and Gong as Lowe runs
it, event by event, over sets of configurations.

A configuration is a state, the pending operations that already took effect
and will be answered (a bit each), and the unanswered ones that took effect (a
bit each). When an operation is answered, every configuration must reach one in
which it took effect, by letting others take effect first; if none can, the
history is not linearizable.

Unanswered operations stay pending for ever and would double the search each.
Four rules hold it small, none of which loses a possibility:
- Of two configurations that differ only in the unanswered ones used, the one
  that used fewer can do all that the other can: only the smallest sets are
  kept, an antichain.
- Unanswered blind writes whose values nobody ever saw are alike, so only the
  first of those not yet used is tried.
- An unanswered compare-and-set of a version that is over counts as used: it
  can do nothing any more, and a set without it would look smaller.
- An unanswered operation used in every configuration leaves all of them.

Values are unique per register, apart from the first, None."""

from history import NEVER, OK, REFUSED, Violation

# Steps tried at one answer before the search says that it cannot tell.
STEPS_MAX = 400_000

UNSEEN = "<never seen>"


class Register:
    """Blind writes and reads, by value alone. A state is a value."""

    first = None

    @staticmethod
    def changes(op):
        return op.kind == "write"

    @staticmethod
    def step(state, op, value):
        """The next state, or a tuple of nothing where it cannot happen."""
        if op.kind == "write":
            return (value,)
        return (state,) if state == op.value else ()

    @staticmethod
    def is_over(state, op):
        """Whether the operation can never take effect from here on."""
        return False


class Versioned:
    """Writes, reads and compare-and-sets of a node whose version counts its
    changes. A state is a value and its version."""

    first = (None, 0)

    @staticmethod
    def changes(op):
        return op.kind == "write" or (op.kind == "cas" and op.outcome != REFUSED)

    @staticmethod
    def step(state, op, value):
        held, version = state
        if op.kind == "read":
            return (state,) if (held, version) == (op.value, op.version) else ()
        if op.outcome == REFUSED:
            return (state,) if version != op.expected else ()
        if op.kind == "cas" and version != op.expected:
            return ()
        if op.version is not None and version + 1 != op.version:
            return ()
        return ((value, version + 1),)

    @staticmethod
    def is_over(state, op):
        return op.kind == "cas" and op.expected < state[1]


def check(ops, model):
    """A violation, or None."""
    search = Search(ops, model)
    try:
        blamed = search.run()
    except TooFar as too_far:
        says = f"{ops[0].key} is undecided: {too_far}"
        return Violation("register", says, story(ops, too_far.op))
    if blamed is None:
        return None
    what = f"a {blamed.kind} by {blamed.client}"
    says = f"{blamed.key} is not linearizable: {what} fits nowhere"
    return Violation("register", says, story(ops, blamed))


def story(ops, blamed):
    """The whole history of the register, what cannot be placed first."""
    return [{"blamed": blamed}, *sorted(ops, key=lambda op: op.began)]


class TooFar(Exception):
    def __init__(self, op):
        super().__init__(f"more than {STEPS_MAX} steps at one answer")
        self.op = op


class Search:
    def __init__(self, ops, model):
        self.model = model
        seen = {op.value for op in ops if op.kind == "read" and op.outcome == OK}
        # An unanswered read tells nothing.
        self.ops = [op for op in ops if op.ended != NEVER or model.changes(op)]
        self.values = [
            UNSEEN if op.ended == NEVER and op.value not in seen else op.value for op in self.ops
        ]
        # Answered operations take the lowest free bit; unanswered ones keep
        # theirs, in a second word.
        self.bit = {}
        self.free = []
        self.bits_used = 0
        self.changing, self.watching = {}, {}
        self.unanswered = {}
        self.kin = {}
        self.conditional = set()
        self.next_unanswered = 0

    def run(self):
        configs = {(self.model.first, 0): [0]}
        for _, answer, index in self.moments():
            op = self.ops[index]
            if not answer:
                self.begin(index, op)
                if index in self.watching:
                    configs = self.note_all(configs)
                continue
            configs = self.finish(configs, index, op)
            if not configs:
                return op
        return None

    def moments(self):
        """Starts and answers in time; of the same instant, starts first: what
        overlaps in doubt may be placed either way."""
        found = []
        for index, op in enumerate(self.ops):
            found.append((op.began, False, index))
            if op.ended != NEVER:
                found.append((op.ended, True, index))
        return sorted(found)

    def begin(self, index, op):
        if op.ended == NEVER:
            mask = 1 << self.next_unanswered
            self.next_unanswered += 1
            # Alike: the same change under the same condition.
            alike = (op.kind, op.expected, self.values[index])
            if self.values[index] != UNSEEN:
                alike += (index,)
            self.unanswered[index] = mask
            self.kin.setdefault(alike, []).append(index)
            if op.expected is not None:
                self.conditional.add(index)
            return
        if not self.free:
            self.free.append(1 << self.bits_used)
            self.bits_used += 1
        self.bit[index] = self.free.pop()
        held = self.changing if self.model.changes(op) else self.watching
        held[index] = op

    def note(self, state, done):
        """Operations that change nothing take effect as soon as they can."""
        for index, op in self.watching.items():
            mask = self.bit[index]
            if not done & mask and self.model.step(state, op, None):
                done |= mask
        return done

    def note_all(self, configs):
        noted = {}
        for (state, done), chain in configs.items():
            key = (state, self.note(state, done))
            for used in chain:
                add(noted, key, used)
        return noted

    def finish(self, configs, index, op):
        """The configurations in which the operation took effect."""
        mask = self.bit[index]
        kept, tried, steps = {}, {}, 0
        edge = []
        for (state, done), chain in configs.items():
            over = self.over(state)
            for used in chain:
                if add(tried, (state, done), used | over):
                    edge.append((state, done, used | over))
        while edge:
            further = []
            for state, done, used in edge:
                if done & mask:
                    add(kept, (state, done & ~mask), used)
                    continue
                for state_, done_, used_ in self.steps(state, done, used):
                    steps += 1
                    if add(tried, (state_, done_), used_):
                        further.append((state_, done_, used_))
            if steps > STEPS_MAX:
                raise TooFar(op)
            edge = further
        self.changing.pop(index, None)
        self.watching.pop(index, None)
        self.free.append(self.bit.pop(index))
        return self.forget_used_by_all(kept)

    def steps(self, state, done, used):
        """All that can take effect next."""
        step = self.model.step
        for index, op in self.changing.items():
            mask = self.bit[index]
            if not done & mask:
                for after in step(state, op, self.values[index]):
                    yield after, self.note(after, done | mask), used | self.over(after)
        for alike in self.kin.values():
            for index in alike:
                mask = self.unanswered[index]
                if not used & mask:
                    for after in step(state, self.ops[index], self.values[index]):
                        yield after, self.note(after, done), used | mask | self.over(after)
                    # The others are like it.
                    break

    def over(self, state):
        found = 0
        for index in self.conditional:
            if self.model.is_over(state, self.ops[index]):
                found |= self.unanswered[index]
        return found

    def forget_used_by_all(self, configs):
        common = -1
        for chain in configs.values():
            for used in chain:
                common &= used
        if common <= 0:
            return configs
        for alike, indexes in list(self.kin.items()):
            left = [index for index in indexes if not self.unanswered[index] & common]
            if left:
                self.kin[alike] = left
            else:
                del self.kin[alike]
        self.conditional = {i for i in self.conditional if not self.unanswered[i] & common}
        return {
            key: [used & ~common for used in chain] for key, chain in configs.items()
        }


def add(configs, key, used):
    """Keeps the antichain of the smallest sets. Whether `used` is in it."""
    chain = configs.get(key)
    if chain is None:
        configs[key] = [used]
        return True
    for other in chain:
        if other & used == other:
            return False
    chain[:] = [other for other in chain if used & other != used]
    chain.append(used)
    return True
