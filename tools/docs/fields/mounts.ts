import type { cri } from '../../../src/proto';
import type { FieldsOf } from './coverage';

export const MOUNT: FieldsOf<cri.IMount> = {
  container_path: {
    becomes: '`Target`',
    except: 'a relative path, the root, a path that another mount has (`/data` and `/data/` are one)',
  },
  host_path: {
    becomes: '`Source` of a bind, which follows symlinks; a missing directory is made (0755)',
    except:
      'a relative path; one that is missing and cannot be made: below a file, a symlink that leads nowhere, a read-only file system; any beside `image`',
  },
  readonly: {
    becomes: '`ReadOnly`, and `ReadOnlyNonRecursive` so that Engines from 25.0 on keep to CRI’s meaning',
    except: 'false for an image mount',
  },
  selinux_relabel: {
    becomes:
      'on nodes with SELinux a bind in `HostConfig.Binds` with `Z`: relabelled for the pod, recursively read-only from Engine 25.0 on where it is read-only, and a missing source is made as a directory; on others nothing',
    except: 'paths with a colon',
  },
  propagation: {
    becomes:
      '`BindOptions.Propagation`; PRIVATE leaves it to the Engine, which says rprivate, and rslave where the source holds its own data',
    except: 'an unknown number; all but PRIVATE for an image mount',
  },
  uidMappings: { refused: 'Docker Engine has no ID-mapped mounts' },
  gidMappings: { refused: 'Docker Engine has no ID-mapped mounts' },
  recursive_read_only: {
    becomes: '`BindOptions.ReadOnlyForceRecursive`; Status says of each handler whether it can',
    needs: 'Engine 25.0 (API 1.44), Linux 5.12, a runtime whose features name `rro`',
    except: 'without `readonly`; with propagation',
  },
  image: {
    becomes: 'a mount of type `image`: see ImageSpec; ContainerStatus adds `image_ref`, the image’s id',
    needs: 'Engine 28.0 (API 1.48)',
    except: 'an image that is not on the node',
  },
  image_sub_path: {
    becomes: '`ImageOptions.Subpath`; CreateContainer needs a second call to check it',
    needs: 'Engine 28.0 (API 1.48)',
    except: 'absolute, or with `..`; one that is not in the image. Without `image` it has no effect',
  },
  mount_options: { refused: 'Docker Engine supports none, as Status reports' },
};

export const CDI_DEVICE: FieldsOf<cri.ICDIDevice> = {
  name: {
    becomes: '`DeviceIDs` of the request; a name that no CDI specification knows fails StartContainer',
    except: 'not `vendor/class=name`',
  },
};
