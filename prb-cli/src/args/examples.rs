//! What `--help` of command groups shows below its lists: how it is typed, in which units.

pub(super) const OPERATOR: &str = "\
Examples:
  prb operator add main                       # asks for its secret: mnemonic, 0x seed, //URI or 128 hex digits
  prb operator add desk --proxied ADDRESS     # signs as a proxy of the account that owns the pools
  prb operator set main --secret              # another secret for the same name
  prb operator list

An operator is an account that signs; `prb pool add --operator NAME` says for which pools.";

pub(super) const POOL: &str = "\
Examples:
  prb pool add 42 --operator main             # 42: pid of the stake pool on chain, which main's account owns
  prb pool set 42 --sync-only                 # its workers are only kept in step; --sync-only=false ends that
  prb pool disable 42                         # send its workers nothing, and keep it listed
  prb pool show 42

Operators come first (`prb operator add`), workers follow (`prb worker add --pool 42`).";

pub(super) const WORKER: &str = "\
Examples:
  prb worker add rack1-07 --endpoint http://10.0.0.17:8000 --pool 42 --stake 1500
  prb worker add rack1-08 --endpoint http://10.0.0.18:8000 --pool 42 --sync-only
  prb worker set rack1-07 --stake 2000        # a higher stake is sent while it computes
  prb worker disable rack1-07                 # send it nothing, and keep it listed

A stake is in PHA (`1500`, `1500.25`) or planck, 10^-12 PHA (`1500000000000000planck`). A worker either computes with a
stake, or is only kept in step (--sync-only), or is a gatekeeper (--gatekeeper).";

pub(super) const INVENTORY: &str = "\
Examples:
  prb inventory export all.yaml               # pools and workers; no secrets
  prb inventory import workers.csv --dry-run  # only show what would be done
  prb inventory import workers.csv

A CSV file:
  name,endpoint,pool,stake
  rack1-07,http://10.0.0.17:8000,42,1500
Stakes are in PHA (`1500`) or planck, 10^-12 PHA (`1500000000000000planck`).";

pub(super) const IDENTITY: &str = "\
Examples:
  prb identity show                           # which one it is, and whose secrets it opens
  prb identity backup /safe/identity.key      # without it, or a copy, the operators' secrets are lost
  prb identity restore /safe/identity.key
  prb identity change-passphrase              # asks for the new one; then `prb run --passphrase-file FILE`

The accounts that sign are operators: see `prb operator --help`.";

pub(super) const TX: &str = "\
Examples:
  prb tx list                                 # what ended last, what is under way, what waits
  prb tx show 6441b2c1-17                     # one of them, by the id in the list
  prb tx drop 6441b2c1-17                     # one that still waits
  prb tx fees                                 # in PHA; with --json in planck, 10^-12 PHA
  prb tx pause                                # nothing is sent until `prb tx resume`, also after a restart

They are of the data directory that the configuration names (data_dir): where `prb trade` makes the transactions, run them
there.";

pub(super) const MIGRATE: &str = "\
Examples:
  prb migrate v2 --identity /var/data/keys/id/LIFECYCLE --database /var/data/local.db --dry-run
  prb migrate v3 http://10.0.0.5:3001 --dry-run

Without --dry-run it is done: all of it or nothing. Stakes come along in planck, as they are there.";

pub(super) const CONFIG: &str = "\
Examples:
  prb config add-pool --name north --pid 42
  prb config add-worker --name rack1-07 --endpoint http://10.0.0.17:8000 --pid 42 --stake 1500000000000000
  prb config get-all-pools-with-workers

Stakes are in planck here (10^-12 PHA), as in v3: 1500 PHA are 1500000000000000. `prb pool` and `prb worker` do the same
with PHA.";

pub(super) const MONITOR: &str = "\
Examples:
  prb monitor                                 # then http://127.0.0.1:3000
  prb monitor --managers wm.yml               # managers in a list, as PRB v3's monitor had it
  prb monitor --listen 0.0.0.0:3000           # to be reached from elsewhere; [api] token_file says who may change things
  prb monitor --queue                         # the queue in Redis, at http://127.0.0.1:4567

Managers with tokens stand in the configuration:
  [monitor]
  managers = [{ name = \"rack1\", url = \"http://10.0.0.5:3001\", token_file = \"rack1.token\" }]";
