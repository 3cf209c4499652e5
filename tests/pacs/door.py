"""A node without a worker, in this process: what stands at the door of the real one."""

from datetime import timedelta

from pydicom.dataset import Dataset
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES
from pynetdicom.sop_class import MRImageStorage, StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from braintumor.database import open_database
from braintumor.pacs.node import Node
from braintumor.pacs.peers import read_peers
from braintumor.pacs.results import Sender
from braintumor.pacs.status import Counts
from braintumor.records.arrivals import Intake, Jobs
from braintumor.records.vault import open_vault
from braintumor.settings import Settings
from tests.pacs.nodes import TITLE, free_port, run


class Door:
    """A node without a worker."""

    def __init__(self, folder, **options):
        usual = {"pacs_peers": "SCANNER@127.0.0.1", "pacs_port": free_port(), "max_upload_mb": 1}
        self.settings = Settings(data_dir=folder, site_key="x" * 32, **{**usual, **options})
        self.engine, self.vault = open_database(self.settings), open_vault(self.settings, "patients")
        self.intake = Intake(self.engine, self.vault, timedelta(seconds=60))
        self.jobs = Jobs(self.engine, self.vault)
        peers, self.counts = read_peers(self.settings.pacs_peers), Counts()
        self.stop = Node(self.settings, peers, self.intake, Sender(self.settings), self.counts).start()

    def associated(self):
        calling = self._called()
        assert calling.is_established
        return calling

    def has_room(self):
        """Tell whether one more caller is heard."""
        calling = self._called()
        if is_heard := calling.is_established:
            calling.release()
        return is_heard

    def asked_for_commitment(self, times):
        """Ask on one association what is kept of an object, and give the statuses."""
        asked, item = Dataset(), Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = MRImageStorage, "1.2.3"
        asked.TransactionUID, asked.ReferencedSOPSequence = "1.2.4", [item]
        entity = AE("SCANNER")
        entity.add_requested_context(StorageCommitmentPushModel)
        calling = entity.associate("127.0.0.1", self.settings.pacs_port, ae_title=TITLE)
        named = asked, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        found = [calling.send_n_action(*named)[0].get("Status") for _ in range(times)]
        calling.release()
        return found

    def _called(self):
        entity = AE("SCANNER")
        entity.add_requested_context(MRImageStorage, ALL_TRANSFER_SYNTAXES[:2])
        return entity.associate("127.0.0.1", self.settings.pacs_port, ae_title=TITLE)

    def store(self, *datasets):
        """Send objects on one association, and give their statuses; None where it broke."""
        calling, found = self.associated(), []
        for one in datasets:
            try:
                found.append(calling.send_c_store(one).get("Status"))
            except (ValueError, RuntimeError):
                found.append(None)
        if calling.is_established:
            calling.release()
        return found

    def echoes(self, *options):
        called = ("-aet", "SCANNER", "-aec", TITLE, *options, "127.0.0.1", self.settings.pacs_port)
        return run("echoscu", *called)[0] == 0


def opened(folder, **options):
    door = Door(folder, **options)
    try:
        yield door
    finally:
        door.stop()
        door.engine.dispose()
