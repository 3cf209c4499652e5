import pytest

from braintumor.scans import Weighting, stated_weighting


@pytest.mark.parametrize(
    ("name", "weighting"),
    [
        ("sub-01_T1w.nii.gz", Weighting.T1),
        ("sub-01_ses-2_ce-gadolinium_T1w.nii", Weighting.T1_CONTRAST),
        ("sub-01_acq-tse_T2w.nii.gz", Weighting.T2),
        ("sub-01_FLAIR.nii.gz", Weighting.FLAIR),
        ("BraTS20_001_t1ce.nii.gz", Weighting.T1_CONTRAST),
        ("BraTS-GLI-00001-000-t1n.nii.gz", Weighting.T1),
        ("BraTS-GLI-00001-000-t2f.nii.gz", Weighting.FLAIR),
        ("FLAIR.nii.gz", Weighting.FLAIR),
        ("flair_study.nii.gz", Weighting.UNKNOWN),
        ("T1map.nii", Weighting.UNKNOWN),
        ("scan.mgz", Weighting.UNKNOWN),
        ("", Weighting.UNKNOWN),
    ],
)
def test_the_name_of_a_volume_may_say_what_images_it_holds(name, weighting):
    assert stated_weighting(name) is weighting
