"""One file a set: `prepare` installs, `run` plays it against a target, `QUICK`
tells whether the quick run takes it."""

from sets import c_client, curator, golden, kazoo_suite, spark, tutorials, zkcli

SETS = {
    "golden": golden,
    "zkcli": zkcli,
    "c": c_client,
    "kazoo": kazoo_suite,
    "curator": curator,
    "tutorials": tutorials,
    "spark": spark,
}
