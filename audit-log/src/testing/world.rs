//! The simulated disk: 512-byte sectors, a page cache, names with a journal, and a seed for
//! everything that can happen.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::format::frame::SECTOR;
use crate::storage::disk::{Disk, DiskFile};

/// splitmix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[derive(Clone, Default)]
struct Content {
    /// What the platter holds.
    durable: Vec<u8>,
    /// What a read gives.
    cached: Vec<u8>,
    /// Sectors written since the last sync, in order.
    pending: Vec<(usize, [u8; SECTOR])>,
}

#[derive(Default)]
struct State {
    files: Vec<Content>,
    /// Names that survive a power cut, and names as they are seen.
    durable: BTreeMap<String, usize>,
    names: BTreeMap<String, usize>,
    /// The names after each change since the last sync: a journal keeps some prefix of them.
    journal: Vec<BTreeMap<String, usize>>,
    random: u64,
    operations: u64,
    die_at: u64,
    fail_at: u64,
    dead: bool,
    lying: bool,
}

#[derive(Clone)]
pub(super) struct World(Arc<Mutex<State>>);

pub(super) struct Handle {
    world: World,
    id: usize,
}

impl World {
    pub(super) fn new(random: &mut Random, lying: bool) -> Self {
        let state = State { random: random.next(), lying, ..State::default() };
        let world = Self(Arc::new(Mutex::new(state)));
        world.calm();
        world
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// From now on the disk may fail once and the process may die, at operations that the seed
    /// chooses.
    pub(super) fn trouble(&self, random: &mut Random) {
        let mut state = self.state();
        state.operations = 0;
        state.dead = false;
        state.die_at = 1 + random.below(120);
        state.fail_at = if random.below(2) == 0 { 1 + random.below(80) } else { u64::MAX };
    }

    pub(super) fn calm(&self) {
        let mut state = self.state();
        state.dead = false;
        (state.die_at, state.fail_at) = (u64::MAX, u64::MAX);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// The process is gone: by a kill, which leaves the page cache, or with the machine's power,
    /// which does not.
    pub(super) fn end(&self, random: &mut Random) {
        let mut state = self.state();
        if random.below(4) == 0 {
            return;
        }
        for file in &mut state.files {
            for (sector, bytes) in std::mem::take(&mut file.pending) {
                // Each unsynced sector by itself is on the platter or not: lost, torn, in any
                // order.
                if random.below(2) == 0 {
                    file.durable[sector * SECTOR..][..SECTOR].copy_from_slice(&bytes);
                }
            }
            file.cached = file.durable.clone();
        }
        let kept = random.below(state.journal.len() as u64 + 1) as usize;
        if let Some(names) = kept.checked_sub(1).and_then(|last| state.journal.get(last)) {
            state.durable = names.clone();
        }
        state.journal.clear();
        state.names = state.durable.clone();
    }

    /// Counts an operation; the lock, unless the process is dead or this is the operation that
    /// fails.
    fn operate(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.operations += 1;
        if state.dead || state.operations >= state.die_at {
            state.dead = true;
            return Err(io::Error::other("dead"));
        }
        if state.operations == state.fail_at {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(state)
    }
}

impl State {
    fn changed(&mut self) {
        self.journal.push(self.names.clone());
    }

    fn chance(&mut self) -> bool {
        let mut random = Random(self.random);
        let answer = random.below(2) == 0;
        self.random = random.0;
        answer
    }

    fn write(&mut self, id: usize, bytes: &[u8], offset: usize) {
        assert!(offset.is_multiple_of(SECTOR) && bytes.len().is_multiple_of(SECTOR), "whole sectors only");
        let file = &mut self.files[id];
        file.cached[offset..offset + bytes.len()].copy_from_slice(bytes);
        for (index, sector) in bytes.chunks(SECTOR).enumerate() {
            file.pending.push((offset / SECTOR + index, sector.try_into().unwrap()));
        }
    }

    fn sync(&mut self, id: usize) {
        if self.lying {
            return;
        }
        let file = &mut self.files[id];
        for (sector, bytes) in file.pending.drain(..) {
            file.durable[sector * SECTOR..][..SECTOR].copy_from_slice(&bytes);
        }
    }
}

impl DiskFile for Handle {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.world.state();
        let offset = offset as usize;
        let source = state.files[self.id].cached.get(offset..offset + buffer.len());
        buffer.copy_from_slice(source.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = offset as usize;
        match self.world.operate() {
            Ok(mut state) => state.write(self.id, bytes, offset),
            Err(error) => {
                // A part of it may have happened.
                let mut state = self.world.state();
                let sectors = bytes.len() / SECTOR;
                let part = (state.operations as usize % (sectors + 1)) * SECTOR;
                if state.operations <= state.die_at {
                    state.write(self.id, &bytes[..part], offset);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.world.operate() {
            Ok(mut state) => state.sync(self.id),
            Err(error) => {
                let mut state = self.world.state();
                if state.dead {
                    return Err(error);
                }
                // As Linux does it: what could not be written is marked clean and stays in the page
                // cache; a later sync says all is well.
                for (sector, bytes) in std::mem::take(&mut state.files[self.id].pending) {
                    if state.chance() {
                        state.files[self.id].durable[sector * SECTOR..][..SECTOR].copy_from_slice(&bytes);
                    }
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.world.state().files[self.id].cached.len() as u64)
    }
}

impl Disk for World {
    type File = Handle;

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Handle> {
        let id = *self.state().names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Handle { world: self.clone(), id })
    }

    fn create_zeroed(&self, name: &str, bytes: u64) -> io::Result<Handle> {
        let mut state = self.operate()?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = state.files.len();
        // Its blocks held something else before; until the sync, that is what may be read after a
        // power cut.
        let zeros = vec![0; bytes as usize];
        state.files.push(Content {
            durable: vec![0xa5; bytes as usize],
            cached: zeros.clone(),
            pending: Vec::new(),
        });
        state.names.insert(name.to_owned(), id);
        state.changed();
        state.write(id, &zeros, 0);
        drop(state);
        let mut state = self.operate()?;
        state.sync(id);
        Ok(Handle { world: self.clone(), id })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.operate()?;
        if state.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), id);
        state.changed();
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.operate()?;
        state.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        state.changed();
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.operate()?;
        state.durable = state.names.clone();
        state.journal.clear();
        Ok(())
    }

    fn is_in_place(&self) -> io::Result<()> {
        self.operate().map(drop)
    }

    fn verify_unchanged(&self, name: &str, file: &Handle, _bytes: u64) -> io::Result<()> {
        match self.operate()?.names.get(name) {
            Some(&id) if id == file.id => Ok(()),
            _ => Err(io::Error::other("moved")),
        }
    }
}
