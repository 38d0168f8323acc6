"""Where copies of the corpora lie that anyone may download, and where a licence has to be signed first.

Only the archive on Zenodo comes from a corpus' authors. The others are copies that third parties uploaded, under names
that many projects use; what they hold is checked after the download (number of clips; of CREMA-D also the SHA-256 sums
of a manifest). `python -m train download NAME --from SOURCE` takes another one.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One copy of a corpus.

    Attributes:
        address: `hub:OWNER/NAME` (a dataset of the Hugging Face Hub), `kaggle:OWNER/NAME`, or the URL of an archive.
        md5: of the archive at the URL, where its publisher states one.
    """

    address: str
    md5: str | None = None


# The first one of a corpus is taken unless another is asked for.
SOURCES: Mapping[str, tuple[Source, ...]] = {
    "ravdess": (
        Source(
            "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip",
            md5="bc696df654c87fed845eb13823edef8a",
        ),
        Source("kaggle:uwrfkaggler/ravdess-emotional-speech-audio"),
    ),
    "tess": (Source("kaggle:ejlok1/toronto-emotional-speech-set-tess"), Source("hub:myleslinder/tess")),
    "crema_d": (Source("kaggle:ejlok1/cremad"), Source("hub:myleslinder/crema-d")),
    "emodb": (Source("kaggle:piyushagni5/berlin-database-of-emotional-speech-emodb"),),
}

# How to get a corpus that no command can fetch, or that its owners give only to those who sign; "{folder}" is where
# its files belong.
LICENCES: Mapping[str, str] = {
    "savee": (
        "SAVEE is given to those who register: go to http://kahlan.eps.surrey.ac.uk/savee/Download.html, and unpack "
        "what you get there into {folder}, so that the clips are {folder}/AudioData/DC/a01.wav (or "
        "{folder}/DC_a01.wav). It has 480 clips of 4 speakers, for research only."
    ),
    "iemocap": (
        "IEMOCAP is given to those who sign its licence: fill in the release form at "
        "https://sail.usc.edu/iemocap/iemocap_release.htm, and unpack what you receive into {folder}, so that there "
        "are {folder}/Session1/dialog/EmoEvaluation/*.txt and {folder}/Session1/sentences/wav/*/*.wav, and the same "
        "for the sessions 2 to 5. It is for research only."
    ),
    "nemo": (
        "nEMO has no archive that this command knows: get it from https://github.com/amu-cai/nEMO, and put its "
        "samples into {folder}, so that there are {folder}/SM0_fear_12.wav and the like. It is under CC BY-NC-SA 4.0."
    ),
    "emospeechcmd": (
        "EmoSpeechCmd has no archive that this command knows: https://arxiv.org/abs/1910.13801 says where it is. Put "
        "its folders into {folder}, so that there are {folder}/webservice/yes-safe-calm-1566230417447-c075fd68.wav "
        "and the like. It is under CC BY-NC-SA 4.0."
    ),
}
