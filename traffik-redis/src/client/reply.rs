use fred::{bytes::Bytes, types::Resp3Frame};

/// The reply of a server, independent of the client library.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Nothing,
    Integer(i64),
    Bytes(Bytes),
    Items(Vec<Self>),
    /// An error, alone or as an item of a list.
    Error(String),
}

impl Reply {
    pub(crate) fn into_items(self) -> Option<Vec<Self>> {
        if let Self::Items(items) = self { Some(items) } else { None }
    }

    pub(crate) fn integer(&self) -> Option<u64> {
        if let Self::Integer(number) = self { u64::try_from(*number).ok() } else { None }
    }

    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    pub(crate) fn text(&self) -> Option<String> {
        self.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

impl From<Resp3Frame> for Reply {
    fn from(frame: Resp3Frame) -> Self {
        match frame {
            Resp3Frame::Number { data, .. } => Self::Integer(data),
            Resp3Frame::BlobString { data, .. }
            | Resp3Frame::SimpleString { data, .. }
            | Resp3Frame::VerbatimString { data, .. } => Self::Bytes(data),
            Resp3Frame::Array { data, .. } => Self::Items(data.into_iter().map(Self::from).collect()),
            Resp3Frame::SimpleError { data, .. } => Self::Error(data.to_string()),
            Resp3Frame::BlobError { data, .. } => Self::Error(String::from_utf8_lossy(&data).into_owned()),
            // No command of this crate has another kind of reply.
            _ => Self::Nothing,
        }
    }
}
