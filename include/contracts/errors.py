"""Every error of ours, as a tree.

NinetyError
├── ContractError           a model folder or its contract is wrong
├── SourceError             a raw source lacks a column, or cannot be read
├── DataError               rows are there, but they are not fit for the step
├── GateError               a model missed its gates and is not registered
├── ArtefactError           a package is incomplete, altered or unreadable
├── RegistryError           a version is unknown, or its metadata incomplete
├── ExperimentError         an experiment cannot be started, analysed or read as asked
├── LedgerError             the ledger refused a change
│   ├── ConflictError       somebody else changed it first (compare-and-set lost)
│   ├── LeaseError          the model already has an open release or experiment
│   └── ChainError          the chain of events does not verify
├── ServingError            Triton or the gateway cannot do what was asked
│   ├── ModelUnavailableError  nothing answers, or the version is not loaded
│   ├── DeadlineError          no answer within the deadline
│   ├── ModelError             the model answered with an error
│   ├── MemoryBudgetError      Triton has no memory left for a version
│   ├── LogWriteError          a row could not be appended to a log
│   └── CoordinationError      what several gateways share cannot be reached
├── AlertRouteError         a route for alerts did not take a message
└── PlatformError           processes, ports, set-up
"""


class NinetyError(Exception):
    """Base of all errors whose message is meant for the reader: what, where, what to do."""


class ContractError(NinetyError):
    """A model folder or its contract is wrong; the message carries the path of the key."""


class SourceError(NinetyError):
    """A raw source lacks a column or cannot be read."""


class DataError(NinetyError):
    """Rows are there, but they are not fit for the step."""


class GateError(NinetyError):
    """A model missed its gates; the message names each gate with its figures."""


class ArtefactError(NinetyError):
    """A package is incomplete, altered or unreadable."""


class RegistryError(NinetyError):
    """A version is unknown, or what it must carry is missing."""


class ExperimentError(NinetyError):
    """An experiment cannot be started, analysed or read as asked; nothing was changed."""


class LedgerError(NinetyError):
    """The ledger refused a change; nothing was written."""


class ConflictError(LedgerError):
    """A compare-and-set lost: the state is no longer what the caller had seen."""


class LeaseError(LedgerError):
    """The model already has an open release or experiment; the message says who holds it."""


class ChainError(LedgerError):
    """The chain of events does not verify; the message names the first bad row."""


class ServingError(NinetyError):
    """Triton or the gateway cannot do what was asked."""


class ModelUnavailableError(ServingError):
    """Nothing answers at the endpoint, or the version is not loaded there."""


class DeadlineError(ServingError):
    """No answer came within the deadline."""


class ModelError(ServingError):
    """The model answered with an error, or with what its signature does not allow."""


class MemoryBudgetError(ServingError):
    """Triton has no memory left for a version; the message says what makes room."""


class LogWriteError(ServingError):
    """A row could not be appended to a log; nothing of its batch is in it."""


class CoordinationError(ServingError):
    """What several gateways share cannot be reached; each goes on by itself."""


class AlertRouteError(NinetyError):
    """A route for alerts did not take a message; it is tried again."""


class PlatformError(NinetyError):
    """Processes, ports or set-up are not as they must be."""
