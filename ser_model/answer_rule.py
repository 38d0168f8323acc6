"""How an answer is read from a network's numbers: when it is given, which emotions it may be, how lively a voice is.

Both thresholds belong to a checkpoint: its configuration has them, and so does the file that it is exported to.
"""

from collections.abc import Mapping
from dataclasses import dataclass


ANSWER_THRESHOLD = 0.5  # of the confidence; what is not measured on left-out corpora has these two
CANDIDATE_MASS = 0.8  # of the probabilities
# Of the familiarity; below it there is too little voice to go by. That is a third of a second; at most 1 % of the
# sentences that the shipped checkpoint learnt from have less.
FAMILIAR_FROM = 0.13

# Arousal of each emotion, -1 to 1: what people said of the words (Russell and Mehrabian 1977; calm: Russell 1980,
# figure 4). Neutral is the middle of their scale.
NORMS = {
    "angry": 0.59,
    "boredom": -0.62,
    "calm": -0.31,
    "disgust": 0.35,
    "fearful": 0.60,
    "happy": 0.51,
    "neutral": 0.0,
    "sad": -0.27,
    "surprised": 0.67,
}
# From 0, what is calm or less, to 1, the liveliest.
AROUSAL = {
    label: max(0.0, (norm - NORMS["calm"]) / (max(NORMS.values()) - NORMS["calm"])) for label, norm in NORMS.items()
}


@dataclass(frozen=True)
class AnswerRule:
    """
    When an answer is sure, and which emotions it may be otherwise.

    Attributes:
        answer_threshold: an answer is sure when its probability is at least this.
        candidate_mass: emotions are candidates, the most probable first, until their probabilities sum up to this
            (adaptive prediction sets: Romano et al. 2020, Angelopoulos and Bates 2021).
    """

    answer_threshold: float = ANSWER_THRESHOLD
    candidate_mass: float = CANDIDATE_MASS

    def candidates(self, scores: Mapping[str, float], label: str) -> tuple[str, ...]:
        """The smallest set of emotions that holds `label` and as much probability as is asked for, `label` first."""
        others = sorted((emotion for emotion in scores if emotion != label), key=lambda emotion: -scores[emotion])
        taken, mass = [label], scores[label]
        for emotion in others:
            if mass >= self.candidate_mass:
                break
            taken.append(emotion)
            mass += scores[emotion]
        return tuple(taken)


def arousal(scores: Mapping[str, float]) -> float | None:
    """Expected arousal, 0 (calm) to 1 (lively), of the probabilities of emotions; None if one has no known arousal."""
    if not scores.keys() <= AROUSAL.keys():
        return None
    return sum(probability * AROUSAL[label] for label, probability in scores.items())


__all__ = ["AROUSAL", "FAMILIAR_FROM", "AnswerRule", "arousal"]
