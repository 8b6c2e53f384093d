//! One server of a cluster, and the one connection to it, by redis-rs.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{Cmd, Pipeline, RedisError, RedisResult, Value, aio::MultiplexedConnection};
use tokio::{sync::Notify, time::sleep};

use super::{dial::Dial, slots::Place};
use crate::client::{CallError, Reply, Sent, line::Line, pause::Pause, standing::Phase, task::Task};

pub(super) struct Node {
    place: Place,
    dial: Arc<Dial>,
    trouble: Arc<Notify>,
    link: Arc<Link>,
    /// Drives the connection, until the node is let go of.
    keeper: Mutex<Option<Task<()>>>,
    was_asked: AtomicBool,
}

/// What a node and whoever keeps it connected share.
struct Link {
    line: Line,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Node {
    /// Connects in the background. Whoever hears `trouble` learns that it is not there any more.
    pub(super) fn connect(place: Place, dial: Arc<Dial>, trouble: Arc<Notify>) -> Self {
        let link = Arc::new(Link { line: Line::new(dial.patience()), connection: Mutex::new(None) });
        let node = Self { place, dial, trouble, link, keeper: Mutex::new(None), was_asked: AtomicBool::new(false) };
        *node.keeper() = Some(node.keep());
        node
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn is_up(&self) -> bool {
        self.link.line.standing().is_up()
    }

    /// Not so while it is still being connected to for the first time.
    pub(super) fn is_down(&self) -> bool {
        matches!(*self.link.line.standing().phases().borrow(), Phase::Down(_))
    }

    pub(super) fn given_up(&self) -> u64 {
        self.link.line.given_up()
    }

    /// How long a connection takes to be greeted, at the most.
    pub(super) fn patience(&self) -> Duration {
        self.link.line.patience().greeting
    }

    /// Whether it was asked by way of exception since this was last called.
    pub(super) fn was_asked(&self) -> bool {
        self.was_asked.swap(false, Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        self.keeper().take();
        self.link.line.standing().close();
    }

    fn keep(&self) -> Task<()> {
        let (place, dial) = (self.place.clone(), Arc::clone(&self.dial));
        Task::spawn(keep(place, dial, Arc::clone(&self.link), Arc::clone(&self.trouble)))
    }

    /// Connects anew where the keeper has ended together with its runtime.
    fn revive(&self) {
        let mut keeper = self.keeper();
        if keeper.as_ref().is_some_and(Task::is_over) {
            self.link.set(None);
            self.link.line.standing().start_again();
            *keeper = Some(self.keep());
        }
    }

    fn keeper(&self) -> MutexGuard<'_, Option<Task<()>>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn call(&self, command: &Cmd, sent: &Sent) -> Result<Reply, CallError> {
        self.send(sent, |mut connection| async move { connection.send_packed_command(command).await }).await
    }

    /// A call that it takes though the slot is not its own yet. Nothing gets between the two commands: they are written as
    /// one message.
    pub(super) async fn call_asking(&self, command: Cmd, sent: &Sent) -> Result<Reply, CallError> {
        let mut both = Pipeline::with_capacity(2);
        both.cmd("ASKING").add_command(command);
        self.was_asked.store(true, Ordering::Relaxed);
        self.send(sent, |mut connection| async move {
            let answers = connection.send_packed_commands(&both, 1, 1).await?;
            Ok(answers.into_iter().next().unwrap_or(Value::Nil))
        })
        .await
    }

    /// Calls in one message, each with its answer or the server's error.
    pub(super) async fn call_all(&self, commands: &[Cmd]) -> Result<Vec<Reply>, CallError> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let mut all = Pipeline::with_capacity(commands.len());
        for command in commands {
            all.add_command(command.clone());
        }
        let answers = self
            .send(&Sent::default(), |mut connection| async move {
                connection.send_packed_commands(&all, 0, all.len()).await.map(Value::Array)
            })
            .await?;
        Ok(answers.into_items().unwrap_or_default())
    }

    async fn send<A: Future<Output = RedisResult<Value>>>(
        &self,
        sent: &Sent,
        call: impl FnOnce(MultiplexedConnection) -> A,
    ) -> Result<Reply, CallError> {
        self.revive();
        let call = async {
            let Some(connection) = self.link.connection() else {
                return Err(CallError::NotRun("there is no connection".into()));
            };
            match call(connection).await.map(Reply::from) {
                Ok(Reply::Error(reason)) => Err(CallError::Refused(reason)),
                Ok(reply) => Ok(reply),
                Err(error) => Err(not_answered(error)),
            }
        };
        self.link.line.call(sent, call).await
    }
}

impl Link {
    fn connection(&self) -> Option<MultiplexedConnection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, connection: Option<MultiplexedConnection>) {
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }
}

/// Connects, waits until the connection is no use any more, and begins again, without end.
async fn keep(place: Place, dial: Arc<Dial>, link: Arc<Link>, trouble: Arc<Notify>) {
    let mut pause = Pause::shortest();
    loop {
        let connected = Instant::now();
        let why = once(&place, &dial, &link).await;
        link.set(None);
        link.line.standing().down(format!("{place}: {why}"));
        trouble.notify_one();
        pause.after(connected.elapsed());
        sleep(pause.next()).await;
    }
}

/// One connection, until it is no use any more: why that is. What is under way then ends at once, in doubt.
async fn once(place: &Place, dial: &Dial, link: &Link) -> String {
    let (connection, driver) = match dial.open(place).await {
        Ok(opened) => opened,
        Err(why) => return why,
    };
    let mut driver = Task::spawn(driver);
    if let Err(why) = dial.greet(connection.clone()).await {
        return why;
    }
    link.set(Some(connection));
    link.line.standing().up();
    tokio::select! {
        _ = driver.ended() => "the connection was closed".to_owned(),
        why = link.line.fails() => why.to_owned(),
    }
}

/// What redis-rs makes of a call whose answer it did not get. Errors of the server are answers.
fn not_answered(error: RedisError) -> CallError {
    CallError::InDoubt(error.into())
}

impl From<Value> for Reply {
    fn from(value: Value) -> Self {
        match value {
            Value::Int(number) => Self::Integer(number),
            Value::BulkString(bytes) => Self::Bytes(bytes.into()),
            Value::SimpleString(text) | Value::VerbatimString { text, .. } => Self::Bytes(text.into()),
            Value::Okay => Self::Bytes("OK".into()),
            Value::Array(items) => Self::Items(items.into_iter().map(Self::from).collect()),
            Value::ServerError(error) => match error.details() {
                Some(details) => Self::Error(format!("{} {details}", error.code())),
                None => Self::Error(error.code().to_owned()),
            },
            // Nothing that is sent here is answered in another way.
            _ => Self::Nothing,
        }
    }
}
