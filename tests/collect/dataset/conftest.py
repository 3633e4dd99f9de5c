import pytest

from worldtokens.collect import EpisodeDataset


@pytest.fixture(params=("disk", "memory"))
def dataset(request, dataset_folder):
    on_disk = EpisodeDataset(dataset_folder)
    return on_disk if request.param == "disk" else on_disk.in_memory()
