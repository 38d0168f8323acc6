"""EmoSpeechCmd (Banga et al. 2019): single English words, by Indian users' own microphones, in four emotions."""

import re
from pathlib import Path

from train.data.base import Corpus, Utterance
from train.data.folds import Protocol, named_folds


LABELS = {"angry": "angry", "happy": "happy", "fearful": "fearful", "calm": "calm"}

# Users are named by the first eight digits of their hash; nothing else is known of them. The hash d14a028c stands for
# whoever is not known, so that its clips are left out.
USERS = """
00da8563 016294ed 02dc4013 02fc4ae7 048e2eeb 04e398ad 06ea3df2 0702dea2 0e17afa3 118f6d89 1cfb3698 22527b21
26febca2 2ad117a0 2bbcd876 2dab836c 30cff656 31bb5038 31f9f30e 340a8031 342ed73c 37b2fd05 38ec51a1 39196b80
3d9d3e0e 3daf85d4 4088f97b 42923923 432b2a95 436c368f 4711544a 4b3d0bf6 4e520c6f 4fb5bdfc 50a73d27 57eadfd6
5b146d73 5dcce36f 5e6d4c13 5f5a82d5 61da3711 6602b16b 6bbc0e89 6bff1668 7091a094 718bb766 74333d37 78ff5332
7aae4694 7e7a3a8d 837e41c8 8403b900 8679e56f 879f4015 88db4709 8a21da1c 8a7a2e49 8d09198c 9014f38f 91193322
93e68222 97ce11ca 98773607 98cd2987 98f394bd 99467a5e 9aa7e4f3 9d259928 9dd2014c 9dea2065 9f0faa2d a871aa64
aeb6442f b0303d33 b1725362 b4e29092 b85700a6 b8dfe36d ba77be3e bca5c3e3 be5d8177 bfbfa288 c024af8c c075fd68
c136e396 c37be7fb c615874e c6b4400c c7b43119 c8c0a638 cc23c513 cda10b7b cf902c4d d1294a56 d2f5206d d4199766
d6ef3341 d897ac28 d8fc5788 da09e319 e2eb7566 eaae5953 ec2301df ec79da61 f1a08e72 fda31b2b
""".split()  # noqa: SIM905 (a line for each would fill two screens)
SPEAKERS = {f"emospeechcmd-{user}": "unknown" for user in USERS}
FOLDS = tuple(
    tuple(f"emospeechcmd-{user}" for user in USERS if int(user, 16) % 5 == remainder) for remainder in range(5)
)
TEST_SPEAKERS = FOLDS[0]  # of the shipped checkpoint

# keyword - environment - emotion - time stamp - user; six time stamps are question marks.
NAME = re.compile(rf"(\w+)-(\w+)-({'|'.join(LABELS)})-([^-]+)-([0-9a-f]{{8}})[0-9a-f]*", re.IGNORECASE)


def parse(path: Path) -> Utterance | None:
    """`yes-safe-calm-1566230417447-c075fd68...` -> user c075fd68, calm, sentence "yes"."""
    match = NAME.fullmatch(path.stem)
    speaker = match and f"emospeechcmd-{match[5].lower()}"
    if speaker not in SPEAKERS:
        return None
    return Utterance(
        path=str(path),
        label=LABELS[match[3].lower()],
        speaker=speaker,
        sex=SPEAKERS[speaker],
        corpus="emospeechcmd",
        language="en",
        sentence=match[1].lower(),
    )


CORPUS = Corpus(
    name="emospeechcmd",
    title="EmoSpeechCmd",
    language="en",
    licence="CC BY-NC-SA 4.0",
    homepage="https://arxiv.org/abs/1910.13801",
    labels=LABELS,
    speakers=SPEAKERS,
    clips=2023,
    longest_clip=3.8,
    example="yes-safe-calm-1566230417447-c075fd68.wav",
    folders=("EmoSpeechCmd",),
    speaker_title="user {}",
    parse=parse,
    licence_steps=(
        "EmoSpeechCmd has no archive that this command knows: https://arxiv.org/abs/1910.13801 says where it is. Put "
        "its folders into {folder}, so that there are {folder}/webservice/yes-safe-calm-1566230417447-c075fd68.wav "
        "and the like. It is under CC BY-NC-SA 4.0."
    ),
    protocols={"emospeechcmd": Protocol("five folds of users", lambda _: named_folds(FOLDS), "emospeechcmd")},
    test_speakers=TEST_SPEAKERS,
)
