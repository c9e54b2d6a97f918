//! A synthetic leecher: threads of the benchmark that ask for every piece once and throw it away.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::content::{BLOCK, Torrent};
use crate::process;
use crate::wire::{self, CHOKE, Frames, PIECE, REQUEST, UNCHOKE, word};

/// A thread that waits for data looks this often whether others have got all there was.
const LOOK: Duration = Duration::from_millis(200);
/// Without a byte for so long on any connection nothing more comes.
const GIVE_UP: Duration = Duration::from_secs(60);
/// So many bytes at both ends of each block are compared. All of them would cost the core that the seed may need.
const COMPARED: usize = 32;

/// What came of it.
#[derive(Debug)]
pub(crate) struct Emptied {
    pub(crate) seconds: f64,
    /// Connections that got something.
    pub(crate) served: usize,
}

struct Work<'a> {
    torrent: &'a Torrent,
    /// Pieces that nobody has asked for, or whose requests a choke has thrown away.
    open: Mutex<VecDeque<u32>>,
    left: AtomicUsize,
    finished: OnceLock<Instant>,
}

impl Work<'_> {
    fn take(&self) -> Option<u32> {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    fn give_back(&self, pieces: impl Iterator<Item = u32>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.extend(pieces);
    }

    fn is_done(&self) -> bool {
        self.finished.get().is_some()
    }
}

/// Fetches everything over connections with these numbers, each with `depth` requests out.
pub(crate) fn empty(
    from: SocketAddr,
    torrent: &Torrent,
    numbers: Range<usize>,
    depth: usize,
) -> Result<Emptied> {
    let work = Work {
        torrent,
        open: Mutex::new((0..torrent.pieces()).collect()),
        left: AtomicUsize::new(torrent.pieces() as usize),
        finished: OnceLock::new(),
    };
    let start = Instant::now();
    let results: Vec<io::Result<bool>> = thread::scope(|scope| {
        let one = |number| {
            let work = &work;
            scope.spawn(move || fetch(work, from, number, depth))
        };
        let threads: Vec<_> = numbers.map(one).collect();
        let panicked = |_| Err(io::Error::other("a thread of the leecher panicked"));
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|result| result.unwrap_or_else(panicked)).collect()
    });
    let served = results.iter().filter(|result| matches!(result, Ok(true))).count();
    let errors: Vec<&io::Error> = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .collect();
    let left = work.left.load(Ordering::Relaxed);
    ensure!(left == 0, "{left} pieces were never sent: {:?}", errors.first());
    if let Some(first) = errors.first() {
        println!("  {} connections were lost: {first}", errors.len());
    }
    let end = work.finished.get().copied().unwrap_or_else(Instant::now);
    let seconds = (end - start).as_secs_f64();
    Ok(Emptied { seconds, served })
}

/// What one connection has asked for.
struct Line<'a> {
    work: &'a Work<'a>,
    depth: usize,
    /// Pieces under way, and how many of their blocks have not come.
    pieces: Vec<(u32, u64)>,
    /// Blocks of those pieces that were not asked for yet: piece, where in it, length.
    queue: VecDeque<(u32, u32, u32)>,
    out: usize,
    is_choked: bool,
    was_served: bool,
}

fn fetch(work: &Work<'_>, from: SocketAddr, number: usize, depth: usize) -> io::Result<bool> {
    let mut stream = wire::connect(from, number, work.torrent.metainfo.info.info_hash, wire::PATIENCE)?;
    // Not with the handshake: aria2 hangs up on that.
    stream.write_all(&wire::SAY_INTERESTED)?;
    stream.set_read_timeout(Some(LOOK))?;
    let mut line = Line {
        work,
        depth,
        pieces: Vec::new(),
        queue: VecDeque::new(),
        out: 0,
        is_choked: true,
        was_served: false,
    };
    let result = line.run(&mut stream);
    // Others can have what was under way.
    line.drop_pieces();
    result.map(|()| line.was_served)
}

impl Line<'_> {
    fn run(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        let mut frames = Frames::new();
        let mut last = Instant::now();
        while !self.work.is_done() {
            match frames.read(stream) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => last = Instant::now(),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if process::is_interrupted() || last.elapsed() > GIVE_UP {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
            while let Some(message) = frames.next() {
                self.handle(message)?;
            }
            self.ask(stream)?;
        }
        Ok(())
    }

    fn drop_pieces(&mut self) {
        self.out = 0;
        self.queue.clear();
        let pieces = self.pieces.drain(..).map(|(piece, _)| piece);
        self.work.give_back(pieces);
    }

    fn handle(&mut self, message: &[u8]) -> io::Result<()> {
        match message.first() {
            Some(&CHOKE) => {
                self.is_choked = true;
                self.drop_pieces();
            }
            Some(&UNCHOKE) => self.is_choked = false,
            Some(&PIECE) => self.block(message)?,
            _ => {}
        }
        Ok(())
    }

    fn block(&mut self, message: &[u8]) -> io::Result<()> {
        let wrong = || io::Error::other("a block that was not asked for");
        let (Some(piece), Some(begin)) = (word(message, 1), word(message, 5)) else {
            return Err(wrong());
        };
        let Some(at) = self.pieces.iter().position(|(known, _)| *known == piece) else {
            // It was on its way when we were choked.
            return Ok(());
        };
        let data = message.get(9..).ok_or_else(wrong)?;
        let torrent = self.work.torrent;
        let wanted = BLOCK.min(torrent.length_of(piece).saturating_sub(u64::from(begin)));
        let offset = u64::from(piece) * torrent.piece_length() + u64::from(begin);
        let ends = COMPARED.min(data.len());
        let expected = torrent.content.slice(offset, wanted);
        let is_right = data.len() == expected.len()
            && data[..ends] == expected[..ends]
            && data[data.len() - ends..] == expected[expected.len() - ends..];
        if !is_right {
            return Err(io::Error::other("wrong data"));
        }
        self.was_served = true;
        self.out = self.out.saturating_sub(1);
        self.pieces[at].1 -= 1;
        if self.pieces[at].1 == 0 {
            self.pieces.swap_remove(at);
            if self.work.left.fetch_sub(1, Ordering::Relaxed) == 1 {
                self.work.finished.get_or_init(Instant::now);
            }
        }
        Ok(())
    }

    /// Sends requests when a quarter of them has been answered.
    fn ask(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        if self.is_choked || self.out > self.depth * 3 / 4 {
            return Ok(());
        }
        let mut requests = Vec::new();
        while self.out < self.depth {
            let Some((piece, begin, length)) = self.next() else {
                break;
            };
            requests.extend_from_slice(&13_u32.to_be_bytes());
            requests.push(REQUEST);
            for number in [piece, begin, length] {
                requests.extend_from_slice(&number.to_be_bytes());
            }
            self.out += 1;
        }
        stream.write_all(&requests)
    }

    fn next(&mut self) -> Option<(u32, u32, u32)> {
        if self.queue.is_empty() {
            let piece = self.work.take()?;
            let length = self.work.torrent.length_of(piece);
            self.pieces.push((piece, length.div_ceil(BLOCK)));
            let blocks = (0..length).step_by(BLOCK as usize);
            let block = |begin: u64| (piece, begin as u32, BLOCK.min(length - begin) as u32);
            self.queue.extend(blocks.map(block));
        }
        self.queue.pop_front()
    }
}
