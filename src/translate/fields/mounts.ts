import type { cri } from '../../proto';
import type { FieldsOf } from './coverage';

export const MOUNT: FieldsOf<cri.IMount> = {
  container_path: { becomes: '`Target`', except: 'a relative path' },
  host_path: { becomes: '`Source` of a bind', except: 'a relative path, or one that does not exist' },
  readonly: { becomes: '`ReadOnly`, and `ReadOnlyNonRecursive` so that newer Engines keep to CRI’s meaning' },
  selinux_relabel: {
    becomes: 'nothing on nodes without SELinux',
    except: 'on nodes with SELinux: not offered yet',
  },
  propagation: { becomes: '`BindOptions.Propagation`', except: 'an unknown number' },
  uidMappings: { refused: 'Docker Engine has no ID-mapped mounts' },
  gidMappings: { refused: 'Docker Engine has no ID-mapped mounts' },
  recursive_read_only: { refused: 'not offered yet (Status says so)' },
  image: { refused: 'image volumes are not offered yet' },
  image_sub_path: { refused: 'image volumes are not offered yet' },
  mount_options: { refused: 'Docker Engine takes none (Status says so)' },
};

export const CDI_DEVICE: FieldsOf<cri.ICDIDevice> = {
  name: { refused: 'CDI devices are not offered yet' },
};
