package actors_test

// mutation names a rule that a simulated shell breaks on purpose, to show that the oracle sees it. Where two rules
// cover each other, the mutation takes both away.
type mutation string

const (
	noMutation mutation = ""

	// A result goes to the sink as soon as all partials are there (I6).
	earlyEmit mutation = "emit before the seal"
	// A vnode applies every batch that it answers, whatever it stands at (I4).
	noPositions mutation = "events taken without their position"
	// A slice forgets its changes at a capture, which may never be sealed (I2).
	deltaSinceCapture mutation = "delta since the last capture instead of the last seal"
	// A producer takes what a vnode applied for sealed (I4).
	freedOnAck mutation = "history freed on ack instead of on seal"
	// All parts learn of a record before its create is known to have won (I1).
	toldEarly mutation = "told before the create is known"
	// The first barrier counts for all sources, and captures claim to stand at the cuts (I5).
	unaligned mutation = "no cut check and no alignment"
	// A capture names the newest slice as its base, and a vnode goes on when another history was sealed (I2).
	noLives mutation = "no lives"
	// Nobody follows the floors, neither after a create nor at the end of a search (I9).
	floorUnchecked mutation = "floor unchecked"
	// Every opening of a producer's name is generation 1, counted from 0 again (I4).
	noGenerations mutation = "no producer generations"
	// An append without an answer counts as failed, and another record is tried in its place (I1).
	readBackFailed mutation = "read-back taken as failure"
	// A partial is looked up by its attempt alone, whichever life folded it (I6).
	unboundPartials mutation = "partials not bound to slices"
	// A fold replaces whatever stands in its place when it is handed over (I2).
	foldUnnamed mutation = "compaction that names no slices"
	// A fold drops tombstones also where older slices lie below (I2).
	tombstonesDropped mutation = "tombstones dropped above the base"
	// A barrier is taken wherever the vnode stands (I5).
	barrierAnywhere mutation = "barriers without a position"
	// Collection keeps what retained records name, and nothing else (I9).
	pinsUnknown mutation = "collection that knows no pins"
	// The merger is not told of an epoch that another sealed while this process took over (I6).
	takeoverForgets mutation = "takeover forgets an epoch that was on its way"

	// A claim supersedes whatever is in force, whoever did not answer (I2).
	claimsAnything mutation = "claims without compare-and-swap"
	// An instance that starts claims without calling the incarnation before (I2).
	nobodyCalled mutation = "nobody is called before a claim"
	// A source leaves the assignment when its instance restarts (I5).
	sourcesDropped mutation = "sources dropped with their instance"
	// A vnode counts a barrier beyond whose cut it stands, and its capture claims to stand at the cut (I5).
	aheadCounted mutation = "barriers counted beyond their cut"
	// An instance goes on under a record that names another incarnation, and the seal looks at ids only (I2).
	idsAlone mutation = "ids without incarnations"
	// An owner restores before a record names its incarnation (I2).
	restoredEarly mutation = "restored before in force"
	// A vnode whose instance does not own it any more goes on (I2).
	othersAnswer mutation = "answers of those who own nothing"
	// Who asked goes on with an answer before it knows the record that grants it (I5, I8).
	answersFirst mutation = "answers without their record"
	// An instance keeps a source that it does not read: a request may be carried out after its answer (liveness).
	ownedUnread mutation = "a source that its owner does not read"
	// An instance does not ask the next coordinator to seal what it captured for the one before (liveness).
	termsUnnoticed mutation = "captures forgotten with their coordinator"
	// A coordinator does not hear that another reigns (I1).
	reignsOn mutation = "a reign that ends unheard"
	// A source that asks where a vnode stands asks once, whatever is lost.
	askedOnce mutation = "a question that is not asked again"

	// An incarnation that was left out, and comes again, goes on with what it held (I5).
	cameAgain mutation = "an incarnation that comes again as if it had never been gone"
	// Who takes over does not begin a term (I1).
	sameTerm mutation = "a takeover without a term"
	// A producer's opening is carried out whatever was opened since it was asked, by its own first copy too (I4).
	openedAgain mutation = "openings that go by nothing"
	// A pin is made or dropped by whichever coordinator hears of it, also of one before (I8).
	pinnedAgain mutation = "pins of any term"
	// A coordinator whose append loses to another's goes on from there (I1).
	lossTaken mutation = "a lost append that ends no reign"
)

// mutations says by which violations each mutation is known. What else it does, such as to wedge the schedule, does not
// count.
var mutations = []struct {
	mutation mutation
	breaks   []string
	seen     uint64 // the first seed that showed it, which is tried first
}{
	{earlyEmit, []string{"I6"}, 0},
	{noPositions, []string{"I4"}, 0},
	{deltaSinceCapture, []string{"I4"}, 0},
	{freedOnAck, []string{"I4"}, 0},
	{toldEarly, []string{"I1", "I4"}, 1},
	{unaligned, []string{"I4"}, 0},
	{noLives, []string{"I4"}, 346},
	{floorUnchecked, []string{"I1"}, 194},
	{noGenerations, []string{"I4"}, 0},
	{readBackFailed, []string{"I1", "liveness"}, 12},
	{unboundPartials, []string{"I6"}, 3361},
	{foldUnnamed, []string{"I4"}, 24},
	{tombstonesDropped, []string{"I4"}, 24},
	{barrierAnywhere, []string{"I4"}, 0},
	{pinsUnknown, []string{"I9"}, 5},
	{takeoverForgets, []string{"I6"}, 327},
	{claimsAnything, []string{"I2"}, 77},
	{nobodyCalled, []string{"I2"}, 2},
	{sourcesDropped, []string{"I5"}, 13},
	{aheadCounted, []string{"I4"}, 0},
	{idsAlone, []string{"I2"}, 0},
	{restoredEarly, []string{"I2"}, 2},
	{othersAnswer, []string{"I2"}, 2},
	{answersFirst, []string{"I8", "liveness"}, 259},
	{ownedUnread, []string{"liveness"}, 1014},
	{termsUnnoticed, []string{"liveness"}, 43},
	{reignsOn, []string{"liveness"}, 3},
	{askedOnce, []string{"liveness"}, 336},
	{cameAgain, []string{"I4", "I5"}, 8530},
	{sameTerm, []string{"I1", "I2", "I4", "I5", "I6"}, 5},
	{lossTaken, []string{"I1"}, 2},
	{openedAgain, []string{"I4 generation"}, 2},
	{pinnedAgain, []string{"I8 pin"}, 396},
}
