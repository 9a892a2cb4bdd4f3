from pathlib import Path

import pytest
import torch

from distill.data import Split, memory
from distill.data.pictures import PictureFiles

CUDA = torch.device("cuda:0")


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Path:
    """A machine with 8 GB of memory available, and a process in the control group `/job/step`."""
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n")
    (tmp_path / "proc" / "self" / "cgroup").write_text("0::/job/step\n")
    (tmp_path / "groups" / "job" / "step").mkdir(parents=True)
    monkeypatch.setattr(memory, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path / "groups")
    return tmp_path


def limit(group: Path, most: str, used: int, reclaimable: int = 0) -> None:
    (group / "memory.max").write_text(f"{most}\n")
    (group / "memory.current").write_text(f"{used}\n")
    (group / "memory.stat").write_text(f"anon 1\ninactive_file {reclaimable}\n")


@pytest.fixture
def gpu(monkeypatch) -> None:
    """A GPU with 1000 bytes free, and 500 that torch holds, 200 of them in use."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 4000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 500)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 200)
    monkeypatch.setattr(Split, "to", lambda self, device: Split(self.inputs, self.labels.to("meta")))


def test_main_memory_is_what_the_kernel_says_is_available(machine):
    assert memory.free_bytes("cpu") == 8_000_000 * 1024


def test_a_container_with_less_memory_counts(machine):
    limit(machine / "groups", "3000000000", 1_000_000_000, reclaimable=500_000_000)
    assert memory.free_bytes("cpu") == 2_500_000_000


def test_the_narrowest_of_nested_control_groups_counts(machine):
    limit(machine / "groups" / "job", "3000000000", 1_000_000_000)
    limit(machine / "groups" / "job" / "step", "max", 1_000_000_000)
    assert memory.free_bytes("cpu") == 2_000_000_000
    limit(machine / "groups" / "job" / "step", "1500000000", 1_000_000_000)
    assert memory.free_bytes("cpu") == 500_000_000


def test_a_container_that_has_more_than_its_limit_has_nothing_free(machine):
    limit(machine / "groups", "1000", 2000)
    assert memory.free_bytes("cpu") == 0


def test_without_the_files_of_linux_all_memory_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_PROC", tmp_path / "absent")
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path / "absent")
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}.get)
    assert memory.free_bytes("cpu") == 4_096_000


@pytest.mark.usefixtures("gpu")
def test_what_torch_holds_unused_on_a_gpu_is_free():
    assert memory.free_bytes(CUDA) == 1000 + 500 - 200


def test_free_memory_of_apple_devices_is_what_is_recommended_less_what_is_used(monkeypatch):
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 900)
    monkeypatch.setattr(torch.mps, "current_allocated_memory", lambda: 300)
    assert memory.free_bytes("mps") == 600


def split_of(count: int) -> Split:
    return Split(torch.zeros(count, 92, dtype=torch.uint8), torch.zeros(count).long())  # 100 bytes an example


@pytest.mark.usefixtures("gpu")
def test_a_split_of_half_the_free_memory_goes_to_the_gpu_and_a_larger_one_stays():
    placed, remark = memory.place(split_of(6), CUDA)
    assert (placed.labels.device.type, remark) == ("meta", None)
    split = split_of(7)
    placed, remark = memory.place(split, CUDA)
    assert placed is split
    assert remark == (
        "The training examples (700 B) stay in main memory: cuda:0 has 1.3 kB free, of which half may be used."
    )


def test_a_split_that_is_there_already_stays_whatever_is_free(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda device: 0)
    split = split_of(2)
    assert memory.place(split, "cpu") == (split, None)


@pytest.mark.usefixtures("gpu")
def test_pictures_that_are_decoded_in_each_epoch_stay_files(tmp_path):
    split = Split(PictureFiles([tmp_path / "0.png"], (3, 4, 4), workers=1), torch.tensor([0]))
    assert memory.place(split, CUDA) == (split, None)


@pytest.mark.parametrize(
    ("count", "text"), [(999, "999 B"), (1000, "1.0 kB"), (12.34e9, "12.3 GB"), (4.5e12, "4500.0 GB")]
)
def test_sizes_are_written_as_people_read_them(count, text):
    assert memory.shown(count) == text
