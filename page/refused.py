"""Error for a request that may not come in, with the sentence that it is told."""


class RefusedError(Exception):
    """A request that stays outside, with a sentence for whoever asks.

    Attributes:
        status: of the answer, a number of HTTP.
        reason: a word for the journal.
    """

    def __init__(self, status: int, sentence: str, reason: str):
        super().__init__(sentence)
        self.status = status
        self.reason = reason
