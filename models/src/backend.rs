//! Which of Burn's backends computes.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

/// A CPU backend of Burn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendKind {
    /// `burn-flex`, upstream's CPU backend.
    #[default]
    Flex,
    /// `burn-ndarray`, deprecated upstream, for comparison.
    NdArray,
}

impl BackendKind {
    /// Every backend.
    pub const ALL: [Self; 2] = [Self::Flex, Self::NdArray];

    #[allow(deprecated)] // that is why it is here: to compare, until upstream removes it
    pub(crate) fn device(self) -> Device {
        match self {
            Self::Flex => Device::flex(),
            Self::NdArray => Device::ndarray(),
        }
    }
}

/// Where training computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrainDevice {
    /// The CPU, with `burn-flex`.
    #[default]
    Cpu,
    /// The first CUDA GPU.
    #[cfg(feature = "cuda")]
    Cuda,
}

impl TrainDevice {
    pub(crate) fn device(self) -> Device {
        match self {
            Self::Cpu => Device::flex(),
            #[cfg(feature = "cuda")]
            Self::Cuda => Device::cuda(0),
        }
    }
}

impl FromStr for TrainDevice {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        match text {
            "cpu" => Ok(Self::Cpu),
            #[cfg(feature = "cuda")]
            "cuda" => Ok(Self::Cuda),
            _ => Err(UnknownDevice(text.to_owned())),
        }
    }
}

/// A name that no device has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no device of this build: use cpu, or cuda in a build with the feature of that name")]
pub struct UnknownDevice(String);

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flex => "flex",
            Self::NdArray => "ndarray",
        })
    }
}

/// A name that no backend has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no backend: use flex or ndarray")]
pub struct UnknownBackend(String);

impl FromStr for BackendKind {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, UnknownBackend> {
        Self::ALL.into_iter().find(|kind| kind.to_string() == text).ok_or_else(|| UnknownBackend(text.to_owned()))
    }
}
