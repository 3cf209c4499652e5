import pytest

from braintumor.scans.series import Weighting
from tests.scans.dicom_files import dicom, enhanced, facts, head

T1, CE, T2, FLAIR = Weighting.T1, Weighting.T1_CONTRAST, Weighting.T2, Weighting.FLAIR
PD, SWI, TOF, DWI = Weighting.PROTON_DENSITY, Weighting.SUSCEPTIBILITY, Weighting.ANGIOGRAPHY, Weighting.DIFFUSION
ADC, MAP, FIELD, LOC = Weighting.ADC, Weighting.DERIVED_MAP, Weighting.FIELD_MAP, Weighting.LOCALIZER
PERF, FMRI, MRS, NONE = Weighting.PERFUSION, Weighting.FUNCTIONAL, Weighting.SPECTROSCOPY, Weighting.UNKNOWN

NAMES = [
    *[(name, T1) for name in ("t1_mprage_sag_p2_iso", "t1_se_tra", "Ax T1 FSE", "SAG T1 FLAIR", "Ax T1 FLAIR")],
    *[
        (name, T1)
        for name in ("t1_tirm_sag_dark-fluid", "3D BRAVO", "Accelerated SAG IR-SPGR", "MPRAGE", "sT1W_3D_TFE")
    ],
    *[(name, T1) for name in ("T1W_SE SENSE", "WIP T1W_3D_TFE SENSE", "sub-01_T1w", "3D T1 PRE", "T1 nativ")],
    *[(name, T1) for name in ("T1 ohne KM", "T1 W/O CONTRAST", "AX T1 WO", "T1 non con", "t1_tse_tra_vor_KM")],
    *[
        (name, T1)
        for name in ("T1 PRE GAD", "T1 unenhanced", "COR T1 THIN PRE PIT", "T1 sans gado", "T1 without contrast")
    ],
    *[(name, T1) for name in ("T1 POST FOSSA", "T1 PREOP", "T1 POST OP", "t1 postcentral", "T1 no gad", "T1 vibe fs")],
    *[(name, T1) for name in ("T1 W/WO CONTRAST", "Ax T1 MT", "Cor T1 SPGR", "t1_fl2d_sag", "anat-T1w_acq-tfl")],
    *[(name, T1) for name in ("T1 post chemo", "T1 POST RT", "T1 post radiation")],
    *[(name, CE) for name in ("T1 PRE RT +C", "POST RT T1 +C", "T1 post chemo post gad", "T1 hemangioma KM")],
    *[(name, T2) for name in ("T2 cavernous angioma", "T2 post chemo")],
    *[(name, CE) for name in ("t1_mprage_sag_p2_iso_KM", "Ax T1 FSE +C", "T1 POST GD", "AX T1 POST", "+C 3D BRAVO")],
    *[
        (name, CE)
        for name in ("3D T1 GAD", "T1W 3D TFE C+", "T1 nach KM", "T1 mit KM", "T1 + KM", "t1ce", "T1c", "T1Gd")
    ],
    *[(name, CE) for name in ("T1 +Gd", "t1_vibe_fs_tra KM", "POST CONTRAST SAG T1", "AX T1 W/CONTRAST", "T1 postcon")],
    *[(name, CE) for name in ("COR T1 DYN POST", "T1 apres inj", "STEALTH AX T1 +C", "T1 Dotarem", "T1 post ohne FS")],
    *[
        (name, CE)
        for name in ("T1 TSE ohne FS nach KM", "T1 WO FS POST", "CE MPRAGE", "T1 SPACE BLACK BLOOD +C", "T1 mdc")
    ],
    *[
        (name, T2)
        for name in ("t2_tse_tra_512", "AX T2 PROPELLER", "T2W_TSE", "Ax T2 FRFSE FS", "CISS 3D", "SAG FIESTA")
    ],
    *[(name, T2) for name in ("t2_blade_tra", "3D SPACE sag", "T2 STIR cor", "SAG T2 POST OP", "haste_cor")],
    *[(name, FLAIR) for name in ("t2_tirm_tra_dark-fluid_FLAIR", "AX T2 FLAIR", "3D_FLAIR", "Sag CUBE T2 FLAIR")],
    *[
        (name, FLAIR)
        for name in ("Ax T2 FLAIR FS +C", "FLAIR_longTR", "t2_spc_da-fl_sag FLAIR", "t2_tirm_tra_dark-fluid")
    ],
    *[(name, PD) for name in ("pd_tse_tra", "Ax PD", "PDW_TSE", "proton density")],
    *[(name, SWI) for name in ("SWI_Images", "Ax SWAN", "sVEN_BOLD", "t2_fl2d_tra_hemo", "AX T2* GRE", "T2W_FFE")],
    *[(name, SWI) for name in ("T2 star", "SWIp", "QSM", "t2_fl2d_tra", "AX T2 GRE", "Hämo tra")],
    *[
        (name, TOF)
        for name in ("TOF_3D_multi-slab", "MRA COW", "MRV 2D", "3D PC venogram", "s3DI_MC_HR", "tof_fl3d_tra")
    ],
    *[
        (name, DWI)
        for name in ("ep2d_diff_3scan_trace_p2", "AX DWI b=1000", "DWI_SSh", "DTI_AP-ortho", "Ax DWI TENSOR R2")
    ],
    *[(name, DWI) for name in ("isoDWI", "dti_ax", "Isotropic image", "Ax B1000", "DTI SAG 30d", "DWI b0", "sDWI")],
    *[(name, ADC) for name in ("ep2d_diff_3scan_trace_p2_ADC", "dADC", "eADC", "Average DC")],
    *[(name, ADC) for name in ("Apparent Diffusion Coefficient (mm2/s)", "DWI_dir80_PA_ADC")],
    *[(name, MAP) for name in ("DWI_dir80_PA_ColFA", "FA", "relCBV", "CBF", "MTT", "Ax MIN IP SWAN", "mIP_Images(SW)")],
    *[(name, MAP) for name in ("T1 subtraction", "PJN: TOF", "T1 Map", "SUB T1 POST-PRE", "TOF MIP", "Tmax")],
    *[(name, FIELD) for name in ("gre_field_mapping", "B0 NS", "Pha_Images", "FILT_PHA: Ax SWAN", "ASSET calibration")],
    *[
        (name, LOC)
        for name in ("localizer", "3-Plane Loc", "3 Plane Localizer", "AAHead_Scout", "Survey", "LOC", "SmartBrain")
    ],
    *[(name, LOC) for name in ("SURVEY_32ch_HeadCoil", "Lokalizer", "3-pl T2* FGRE")],
    *[(name, PERF) for name in ("ep2d_perf_p2", "AX PERFUSION", "DSC", "3D ASL", "pCASL", "PWI")],
    *[(name, FMRI) for name in ("fMRI_MB_int", "ep2d_bold_moco_p2", "Axial EPI-FMRI", "rest", "EPI_asc")],
    *[(name, MRS) for name in ("csi_se_135", "svs_se_30", "PRESS 35", "Spektroskopie")],
    *[(name, NONE) for name in ("", "Axial", "BRAIN ROUTINE", "series 3", "cor obl", "epilepsy", "AX DIR")],
]


@pytest.mark.parametrize(("name", "expected"), NAMES, ids=[name or "(none)" for name, _ in NAMES])
def test_name_of_a_series_tells_its_kind(name, expected):
    (series,) = facts([dicom(SeriesDescription=name or None, EchoTime=15)])
    assert series.weighting is expected


ACQUIRED = [
    # sequence, echo, repetition, inversion time, flip angle
    ("SE", 12, 500, None, 90, T1),
    ("SE\\IR", 20, 2500, 860, 90, T1),
    ("GR\\IR", 2.98, 2300, 900, 9, T1),
    ("GR", 4.2, 8.2, None, 8, T1),
    ("SE", 100, 5000, None, 90, T2),
    ("SE", 90, 4000, None, 150, T2),
    ("SE\\IR", 120, 9000, 2500, 150, FLAIR),
    ("SE\\IR", 390, 5000, 1800, 120, FLAIR),
    ("SE\\IR", 60, 4000, 170, 150, T2),
    ("SE", 15, 3000, None, 90, PD),
    ("GR", 20, 700, None, 20, SWI),
    ("EP\\GR", 30, 2000, None, 78, FMRI),
    ("EP", 90, 6000, None, 90, FMRI),
    ("GR", 2.5, 5.5, None, 60, NONE),
    ("SE", None, 500, None, 90, NONE),
    ("SE", 12, None, None, 90, NONE),
    ("SE", 50, 1500, None, 90, NONE),
]


@pytest.mark.parametrize(("sequence", "echo", "repetition", "inversion", "flip", "expected"), ACQUIRED)
def test_how_a_nameless_series_was_acquired_tells_its_kind(sequence, echo, repetition, inversion, flip, expected):
    acquired = {"ScanningSequence": sequence.split("\\"), "EchoTime": echo, "RepetitionTime": repetition}
    (series,) = facts([dicom(SeriesDescription=None, InversionTime=inversion, FlipAngle=flip, **acquired)])
    assert series.weighting is expected


TYPES = [
    ("ORIGINAL\\PRIMARY\\M\\ND\\NORM", T1),
    ("ORIGINAL\\PRIMARY\\P\\ND", FIELD),
    ("DERIVED\\PRIMARY\\DIFFUSION\\ADC\\ND", ADC),
    ("ORIGINAL\\PRIMARY\\DIFFUSION\\NONE\\ND\\MFSPLIT", DWI),
    ("DERIVED\\PRIMARY\\DIFFUSION\\TRACEW\\ND", DWI),
    ("DERIVED\\PRIMARY\\DIFFUSION\\FA\\ND", MAP),
    ("DERIVED\\PRIMARY\\MPR\\ND", T1),
    ("DERIVED\\SECONDARY\\REFORMATTED\\AVERAGE", T1),
    ("DERIVED\\PRIMARY\\M\\ND\\NORM\\SUB", MAP),
    ("DERIVED\\SECONDARY\\MNIP\\ND", MAP),
    ("ORIGINAL\\PRIMARY\\M\\SWI\\ND", SWI),
    ("ORIGINAL\\PRIMARY\\LOCALIZER", LOC),
    ("DERIVED\\PRIMARY\\PERFUSION\\CBV", MAP),
    ("ORIGINAL\\PRIMARY\\M_FFE\\M\\FFE", T1),
    ("ORIGINAL\\PRIMARY\\FIELD_MAP\\M\\FFE", FIELD),
    ("ORIGINAL\\PRIMARY\\FAT", MAP),
    ("ORIGINAL\\PRIMARY\\WATER", T1),
    ("", T1),
    ("FA", T1),
]


@pytest.mark.parametrize(("kind", "expected"), TYPES)
def test_type_of_an_image_counts_more_than_its_name(kind, expected):
    (series,) = facts([dicom(ImageType=kind.split("\\") if kind else None)])
    assert series.weighting is expected


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"SeriesDescription": None, "ProtocolName": "t2_tse_tra"}, T2),
        ({"SeriesDescription": "Series 4", "ProtocolName": "t2_tse_tra"}, T2),
        ({"SeriesDescription": "t1_se_tra", "ProtocolName": "t2_tse_tra"}, T1),
        # GE names the whole examination there.
        ({"SeriesDescription": "Ax 4 mm", "ProtocolName": "DWI FLAIR", "Manufacturer": "GE MEDICAL SYSTEMS"}, NONE),
        ({"SeriesDescription": None, "DiffusionBValue": 1000.0}, DWI),
        ({"SeriesDescription": None, "DiffusionBValue": 0.0}, NONE),
        ({"SeriesDescription": None, "SequenceName": "*ep_b1000t"}, DWI),
        ({"SeriesDescription": None, "AcquisitionContrast": "FLUID_ATTENUATED"}, FLAIR),
        ({"SeriesDescription": "Ax PD/T2", "EchoTime": 15}, PD),
        ({"SeriesDescription": "Ax PD/T2", "EchoTime": 100}, T2),
        ({"SeriesDescription": "t2_tirm_cor", "InversionTime": 170}, T2),
        ({"SeriesDescription": "t2_tirm_cor", "InversionTime": 2500}, FLAIR),
        ({"SeriesDescription": "Ax GRE", "EchoTime": 20}, SWI),
        ({"SeriesDescription": "Ax GRE", "EchoTime": 4}, NONE),
        ({"SeriesDescription": "head t1", "Modality": "CT"}, NONE),
        ({"SeriesDescription": "Topogram", "Modality": "CT"}, LOC),
    ],
)
def test_other_elements_that_tell_a_kind(elements, expected):
    (series,) = facts([dicom(**elements)])
    assert series.weighting is expected


@pytest.mark.parametrize(
    ("name", "agent", "expected"),
    [
        ("T1", None, None),
        ("T1", "", None),
        ("T1", "Gadovist", True),
        ("T1", "0.1 mmol/kg Gd", True),
        ("T1", "GADAVIST 7.5 ml", True),
        ("T1", "YES", True),
        ("T1", "NONE", False),
        ("T1", "No", False),
        ("T1", "N", False),
        ("T1", "0", False),
        ("T1", "w/o", False),
        ("T1", "kein KM", False),
        ("T1", "?", None),
        ("T1", "unknown", None),
        ("T1 PRE", "Gadovist", False),
        ("T1 nativ", "Gadovist", False),
        ("T1 +C", None, True),
        ("T1 +C", "NONE", True),
        ("T2 FLAIR +C", None, True),
        ("MRI BRAIN W AND W/O CONTRAST T1", None, None),
        ("T1 pre/post", None, None),
    ],
)
def test_contrast_agent_is_told_by_the_name_then_by_the_tag(name, agent, expected):
    (series,) = facts([dicom(SeriesDescription=name, ContrastBolusAgent=agent)])
    assert series.contrast_agent is expected


def test_images_of_b_0_in_a_series_of_diffusion_are_part_of_it():
    files = [dicom(SeriesDescription=name, DiffusionBValue=b) for name, b in ((None, 0.0), (None, 1000.0), ("T2", 0.0))]
    assert [series.weighting for series in facts(files)] == [DWI] * len(facts(files))
    assert [series.weighting for series in facts(files[:1])] == [NONE]


def test_enhanced_objects_say_the_same_in_their_groups():
    groups = {
        "MRTimingAndRelatedParametersSequence": {"RepetitionTime": 9000.0, "FlipAngle": 150.0},
        "MRModifierSequence": {"InversionTimes": [2500.0]},
        "MREchoSequence": {"EffectiveEchoTime": 120.0},
    }
    data = enhanced([(head(), {"FrameContentSequence": {}})], shared=groups, SeriesDescription=None)
    assert [series.weighting for series in facts([data])] == [FLAIR]
