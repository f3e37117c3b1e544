"""The published layouts that can be read, by name."""

from __future__ import annotations

from functools import partial

from emi_model.errors import ConfigError
from emi_model.targets import EMI_TARGETS
from tasks.datasets.layout import RATED_AROUSAL, RATED_VALENCE, Layout
from tasks.datasets.one_label.biovid import BASELINE_AND_TOLERANCE, PAIN, read_biovid
from tasks.datasets.one_label.crema_d import CREMA_TARGETS, read_acted_crema_d, read_crema_d
from tasks.datasets.one_label.hume_vidmimic2 import read_hume_vidmimic2
from tasks.datasets.one_label.iemocap import IEMOCAP_TARGETS, read_iemocap
from tasks.datasets.one_label.meld import MELD_TARGETS, read_meld
from tasks.datasets.one_label.mer import MER_TARGETS, read_mer2023, read_mer2024
from tasks.datasets.one_label.msp_podcast import MSP_TARGETS, read_msp_podcast
from tasks.datasets.one_label.ravdess import RAVDESS_TARGETS, read_ravdess
from tasks.datasets.over_time.aff_wild2 import read_aff_wild2
from tasks.datasets.over_time.sewa import SEWA_TARGETS, read_sewa

_DRAWN = "none; speakers are drawn"
_BIOVID = Layout(
    "biovid",
    "BioVid Heat Pain, part A",
    PAIN,
    "samples.csv, video/SUBJECT/SAMPLE.mp4",
    "https://www.nit.ovgu.de/nit/en/BioVid-p-1358.html",
    _DRAWN,
    read_biovid,
    prefer=("mp4",),
)
_CREMA_D = Layout(
    "crema-d",
    "CREMA-D",
    CREMA_TARGETS,
    "processedResults/tabulatedVotes.csv, AudioWAV/1001_DFA_ANG_XX.wav (or VideoFlash, AudioMP3)",
    "https://github.com/CheyneyComputerScience/CREMA-D",
    _DRAWN,
    read_crema_d,
    prefer=("wav", "mp3", "mp4", "flv"),
)
_MSP = Layout(
    "msp-podcast",
    "MSP-Podcast",
    MSP_TARGETS,
    "Labels/labels_consensus.csv, Audios/MSP-PODCAST_0001_0008.wav",
    "https://www.lab-msp.com/MSP/MSP-Podcast.html",
    "official; test is Test1",
    read_msp_podcast,
)

_ALL = (
    Layout(
        "hume-vidmimic2",
        "Hume-Vidmimic2",
        EMI_TARGETS,
        "train_split.csv, valid_split.csv, a folder with 00000.mp4 and so on",
        "https://affective-behavior-analysis-in-the-wild.github.io",
        "official; the test clips have no public labels",
        read_hume_vidmimic2,
        prefer=("mp4", "webm", "mkv", "mov", "avi"),
    ),
    Layout(
        "aff-wild2",
        "Aff-Wild2",
        (RATED_AROUSAL, RATED_VALENCE),
        "VA_Estimation_Challenge/Train_Set/VIDEO.txt, .../Validation_Set/VIDEO.txt, VIDEO.mp4",
        "https://ibug.doc.ic.ac.uk/resources/aff-wild2/",
        "official",
        read_aff_wild2,
        prefer=("mp4", "avi"),
        over_time=True,
    ),
    _BIOVID,
    Layout(
        "biovid-extremes",
        "BioVid Heat Pain, part A",
        PAIN,
        _BIOVID.files,
        _BIOVID.ask,
        _DRAWN,
        partial(read_biovid, levels=BASELINE_AND_TOLERANCE),
        prefer=_BIOVID.prefer,
    ),
    _MSP,
    Layout(
        "msp-podcast-test2",
        _MSP.title,
        MSP_TARGETS,
        _MSP.files,
        _MSP.ask,
        "official; test is Test2",
        partial(read_msp_podcast, test="Test2"),
    ),
    Layout(
        "iemocap",
        "IEMOCAP",
        IEMOCAP_TARGETS,
        "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt, "
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav",
        "https://sail.usc.edu/iemocap/iemocap_release.htm",
        "none; whole sessions are drawn",
        read_iemocap,
        prefer=("wav",),
    ),
    _CREMA_D,
    Layout(
        "crema-d-acted",
        "CREMA-D",
        CREMA_TARGETS,
        "AudioWAV/1001_DFA_ANG_XX.wav (or VideoFlash, AudioMP3)",
        _CREMA_D.ask,
        _DRAWN,
        read_acted_crema_d,
        prefer=_CREMA_D.prefer,
    ),
    Layout(
        "ravdess",
        "RAVDESS",
        RAVDESS_TARGETS,
        "Actor_12/03-01-06-01-02-01-12.wav or 01-01-06-01-02-01-12.mp4",
        "https://zenodo.org/records/1188976",
        "none; actors are drawn",
        read_ravdess,
    ),
    Layout(
        "sewa",
        "SEWA (AVEC 2017 to 2019)",
        SEWA_TARGETS,
        "labels/Train_DE_01.csv, Train_DE_01.wav or .avi",
        "https://db.sewaproject.eu",
        "official, by the name: Train, Devel, Test",
        read_sewa,
        prefer=("mp4", "avi", "wav"),
        over_time=True,
    ),
    Layout(
        "meld",
        "MELD",
        MELD_TARGETS,
        "train_sent_emo.csv, train/train_splits/dia0_utt0.mp4; dev_sent_emo.csv, "
        "dev/dev_splits_complete; test_sent_emo.csv, test/output_repeated_splits_test",
        "https://affective-meld.github.io",
        "official; the main characters speak in all three",
        read_meld,
        prefer=("mp4",),
    ),
    Layout(
        "mer2023",
        "MER2023",
        MER_TARGETS,
        "train-label.csv, train/NAME.avi; test1-label.csv, test1/NAME.avi and so on",
        "https://github.com/zeroQiaoba/MERTools",
        "official test1 to test3; the rest is drawn into train and valid",
        read_mer2023,
        prefer=("mp4", "avi"),
    ),
    Layout(
        "mer2024",
        "MER2024",
        MER_TARGETS,
        "label-disdim.csv, video-labeled/NAME.mp4",
        "https://github.com/zeroQiaoba/MERTools",
        "none that is public; drawn",
        read_mer2024,
        prefer=("mp4", "avi"),
    ),
)
LAYOUTS = {layout.name: layout for layout in _ALL}


def find_layout(name: str) -> Layout:
    """Return a layout by its name.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in LAYOUTS:
        raise ConfigError(f"no layout called {name!r}, expected one of {', '.join(LAYOUTS)}")
    return LAYOUTS[name]
