//! The workers of an engine, and which of them are in what state: so that what an event costs does not grow with the
//! number of workers that it has nothing to do with.
//!
//! Whoever changes a worker gets it from [`Roster::get_mut`], which notes that its groups may not be right any more.
//! [`Roster::refresh`] puts that right: at the end of every event, and within one before groups are asked for.
//!
//! Must not depend on what follows from being in a group.

use std::collections::{BTreeMap, BTreeSet};

use super::prefetch::MIN_CHUNKS;
use super::worker::{Phase, Retirement, Worker};
use super::{Config, WorkerId};

/// Workers that have something in common.
#[derive(Clone, Copy, Debug)]
pub(super) enum Group {
    /// Those of them with room for another chunk, whoever is late.
    Open,
    /// Starting, without calls, and not on their way out.
    Starting,
    /// Without calls, and they can run some, now or once they are ready.
    Free,
    /// With something in flight.
    Busy,
    /// To be stopped: they take no more calls, and have none.
    Spent,
    Standby,
    /// To be stopped once their replacement is ready.
    Replaceable,
    /// Something about them may depend on time.
    Watched,
    // From here on members are only counted.
    Live,
    LiveAndBusy,
    LiveAndReady,
    Serving,
    ServingAndReady,
    Idle,
}

/// How many groups there are.
const GROUPS: usize = Group::Idle as usize + 1;
/// Of how many groups the members are listed: the first ones.
const LISTED: usize = Group::Watched as usize + 1;

/// A bit for each group.
type Groups = u16;

#[derive(Debug)]
pub(super) struct Roster {
    workers: BTreeMap<WorkerId, Member>,
    /// Invariant: once `changed` is empty, exactly the members of each group.
    lists: [BTreeSet<WorkerId>; LISTED],
    /// Invariant: once `changed` is empty, the number of members of each group.
    counts: [usize; GROUPS],
    /// Workers whose groups may be wrong.
    changed: Vec<WorkerId>,
    rules: Rules,
}

/// What the groups of a worker depend on besides itself.
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// How many chunks a worker may have before it has no room.
    max_chunks: usize,
    /// Whether there is a limit to how long a worker may start.
    times_starts: bool,
    /// Whether there is a limit to how long a worker may have nothing to do.
    times_idleness: bool,
}

#[derive(Debug)]
struct Member {
    worker: Worker,
    /// The groups that it is listed or counted in.
    groups: Groups,
}

impl Roster {
    /// Without workers.
    pub(super) fn new(config: &Config) -> Roster {
        let at_once = config.concurrency.max(1) as usize;
        Roster {
            workers: BTreeMap::new(),
            lists: Default::default(),
            counts: [0; GROUPS],
            changed: Vec::new(),
            rules: Rules {
                max_chunks: if config.lanes { 1 } else { MIN_CHUNKS.max(at_once) },
                times_starts: config.boot_limit.is_some(),
                times_idleness: config.idle_timeout.is_some(),
            },
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    pub(super) fn get(&self, worker_id: &WorkerId) -> Option<&Worker> {
        self.workers.get(worker_id).map(|member| &member.worker)
    }

    pub(super) fn get_mut(&mut self, worker_id: &WorkerId) -> Option<&mut Worker> {
        let member = self.workers.get_mut(worker_id)?;
        if self.changed.last() != Some(worker_id) {
            self.changed.push(*worker_id);
        }
        Some(&mut member.worker)
    }

    pub(super) fn insert(&mut self, worker_id: WorkerId, worker: Worker) {
        self.workers.insert(worker_id, Member { worker, groups: 0 });
        self.changed.push(worker_id);
    }

    pub(super) fn remove(&mut self, worker_id: &WorkerId) -> Option<Worker> {
        let Member { worker, groups } = self.workers.remove(worker_id)?;
        self.book(*worker_id, groups, 0);
        Some(worker)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &WorkerId> {
        self.workers.keys()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Worker> {
        self.workers.values().map(|member| &member.worker)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&WorkerId, &Worker)> {
        self.workers.iter().map(|(worker_id, member)| (worker_id, &member.worker))
    }

    /// All of them, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&WorkerId, &mut Worker)> {
        self.changed.clear();
        self.changed.extend(self.workers.keys());
        self.workers.iter_mut().map(|(worker_id, member)| (worker_id, &mut member.worker))
    }
}

/// Groups.
impl Roster {
    /// How many workers a group has. To be asked when the groups are right.
    pub(super) fn count(&self, group: Group) -> usize {
        debug_assert!(self.changed.is_empty(), "groups are asked for that may be wrong");
        self.counts[group as usize]
    }

    /// The members of one of the groups that are listed, in ascending order. To be asked when the groups are right.
    pub(super) fn members(&self, group: Group) -> impl Iterator<Item = (WorkerId, &Worker)> {
        debug_assert!(self.changed.is_empty(), "groups are asked for that may be wrong");
        let list = &self.lists[group as usize];
        list.iter().filter_map(|worker_id| Some((*worker_id, self.get(worker_id)?)))
    }

    /// Puts the groups right.
    pub(super) fn refresh(&mut self) {
        while let Some(worker_id) = self.changed.pop() {
            let Some(member) = self.workers.get_mut(&worker_id) else { continue };
            let before = member.groups;
            member.groups = groups_of(&member.worker, self.rules);
            let groups = member.groups;
            self.book(worker_id, before, groups);
        }
    }

    /// A worker leaves some groups and joins others.
    fn book(&mut self, worker_id: WorkerId, before: Groups, after: Groups) {
        let mut changes = before ^ after;
        while changes != 0 {
            let group = changes.trailing_zeros() as usize;
            changes &= changes - 1;
            let joins = after & (1 << group) != 0;
            self.counts[group] = if joins { self.counts[group] + 1 } else { self.counts[group] - 1 };
            match self.lists.get_mut(group) {
                Some(list) if joins => _ = list.insert(worker_id),
                Some(list) => _ = list.remove(&worker_id),
                None => {}
            }
        }
    }

    /// Panics if an invariant does not hold.
    pub(super) fn check_invariants(&self) {
        debug_assert!(self.changed.is_empty(), "groups were left wrong");
        for group in 0..GROUPS {
            let is_in = |member: &Member| groups_of(&member.worker, self.rules) & (1 << group) != 0;
            let count = self.workers.values().filter(|member| is_in(member)).count();
            debug_assert_eq!(self.counts[group], count, "members of group {group}");
            if let Some(list) = self.lists.get(group) {
                let members = self.workers.iter().filter(|(_, member)| is_in(member));
                debug_assert!(members.map(|(worker_id, _)| worker_id).eq(list), "the list of group {group}");
            }
        }
    }
}

fn groups_of(worker: &Worker, rules: Rules) -> Groups {
    let is_ready = worker.phase == Phase::Ready;
    let is_starting = worker.phase == Phase::Starting;
    let (is_live, is_busy, can_serve) = (worker.is_live(), worker.is_busy(), worker.can_serve());
    let has_timed = || worker.chunks.iter().any(|chunk| chunk.is_timed);
    let is_watched = match worker.phase {
        Phase::Starting => rules.times_starts || worker.is_killed(),
        Phase::Ready => has_timed() || (!is_busy && rules.times_idleness),
        Phase::Stopping { .. } | Phase::Dying => true,
    };
    let bit = |group: Group, is_in: bool| Groups::from(is_in) << group as usize;
    bit(Group::Open, is_ready && can_serve && worker.chunks.len() < rules.max_chunks)
        | bit(Group::Starting, is_starting && is_live && !is_busy && !worker.is_killed())
        | bit(Group::Free, can_serve && !is_busy && !worker.is_killed())
        | bit(Group::Busy, is_busy)
        | bit(Group::Spent, is_ready && !is_busy && worker.retirement == Some(Retirement::Now))
        | bit(Group::Standby, worker.is_standby())
        | bit(Group::Replaceable, worker.retirement == Some(Retirement::WhenReplaced))
        | bit(Group::Watched, is_watched)
        | bit(Group::Live, is_live)
        | bit(Group::LiveAndBusy, is_live && is_busy)
        | bit(Group::LiveAndReady, is_live && is_ready)
        | bit(Group::Serving, can_serve)
        | bit(Group::ServingAndReady, can_serve && is_ready)
        | bit(Group::Idle, worker.is_idle())
}
