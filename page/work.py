"""The questions that are being answered: given up when their visitor has left, or when the page ends."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

import gradio as gr
from starlette.types import Scope

from page.journal import Journal, Outcome
from page.texts import ENGLISH


ID = "ser.id"  # in the scope of a request
RESTARTING = "The page is being restarted. Please ask again in a minute."

logger = logging.getLogger("ser.app")


class GivenUpError(Exception):
    """Nobody waits for the answer any more."""


class Question:
    """A question that is being answered.

    Attributes:
        outcome: what the journal will say if nothing is raised.
        share: of the answer that is done, from 0 to 1.
        is_wanted: whether the visitor is still there.
        given_up: whether to stop, because the page ends, or because the question has ended.
    """

    def __init__(self, request: gr.Request, is_wanted: Callable[[], bool]):
        self.id = request_id(request.request.scope)
        self.is_wanted = is_wanted
        self.outcome: Outcome = "answered"
        self.share = 0.0
        self.given_up = False

    def progress(self, share: float = 0.0) -> None:
        """
        Note the share that is done; a recogniser calls it.

        Raises:
            GivenUpError: the answer is not wanted any more.
        """
        if self.given_up or not self.is_wanted():
            raise GivenUpError
        self.share = share


class Work:
    """
    All questions that are being answered.

    Args:
        journal: in which each is noted when it ends.
        is_wanted: tells whether the visitor of a request is still there.
    """

    def __init__(self, journal: Journal, is_wanted: Callable[[gr.Request], bool]) -> None:
        self.journal = journal
        self.is_wanted = is_wanted
        self.questions: set[Question] = set()
        self.is_over = False
        self.lock = threading.Lock()

    @contextlib.contextmanager
    def question(self, door: str, request: gr.Request) -> Iterator[Question]:
        """A question for a `with` block, whose end goes into the journal; what fails in it is told in a sentence."""
        question, began = Question(request, lambda: self.is_wanted(request)), time.monotonic()
        with self.lock:
            self.questions.add(question)
            question.given_up = self.is_over
        ended: Outcome = "failed"
        try:
            question.progress()
            yield question
            ended = question.outcome
        except GeneratorExit:  # gradio ends a generator whose visitor has left
            ended = "left"
            raise
        except GivenUpError:
            ended = "stopped" if question.given_up else "left"
            raise refusal(RESTARTING) from None
        except gr.Error:
            ended = "refused"
            raise
        except Exception as error:
            logger.exception("No answer to %s", question.id)
            raise refusal(ENGLISH["unexpected"]) from error
        finally:
            question.given_up = True  # for what a thread may still be busy with
            with self.lock:
                self.questions.discard(question)
            self.journal.note(question.id, door, ended, time.monotonic() - began)

    def give_up(self) -> None:
        """Let all questions stop as soon as they can, and those to come."""
        with self.lock:
            self.is_over = True
            for question in self.questions:
                question.given_up = True


def refusal(sentence: str) -> gr.Error:
    """An error for the one who asked, not for the log."""
    return gr.Error(sentence, print_exception=False)


def request_id(scope: Scope) -> str:
    """The name of a request in the journal; "" for one that came by no door."""
    return scope.get(ID, "")
