//! `wasi:filesystem`, each operation checked and then handed on.

use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::FsPerms;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
    DirectoryEntryStream, ErrorCode, Filesize, HostDescriptor, HostDirectoryEntryStream,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use super::capped::{Capped, Room};
use super::locate::Place;
use super::{Access, Files};

type Fd = Resource<Descriptor>;

fn same(fd: &Fd) -> Fd {
    Resource::new_borrow(fd.rep())
}

impl preopens::Host for Files<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        let opened = |(dir, path): &(_, String)| {
            let dir = Descriptor::Dir(Clone::clone(dir));
            Ok((self.inner.table.push(dir)?, path.clone()))
        };
        self.world.preopens.iter().map(opened).collect()
    }
}

impl types::Host for Files<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        self.inner.convert_error_code(error)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.inner.filesystem_error_code(error)
    }
}

impl Files<'_> {
    /// Opens a checked place; the place's directory stays open.
    async fn open_place(
        &mut self,
        place: &Place,
        create: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let stat = self
            .inner
            .stat_at(same(&place.dir), PathFlags::empty(), place.name.clone())
            .await;
        let is_dir = match stat.map(|stat| stat.type_) {
            Ok(DescriptorType::Directory) => true,
            Ok(DescriptorType::RegularFile | DescriptorType::SymbolicLink) | Err(_) => false,
            // Opening a pipe would hang, and a device is not a file.
            Ok(_) => {
                return Err(self.deny(
                    Access::Read,
                    place.real.as_str(),
                    "neither file nor directory",
                ));
            }
        };
        let writes = flags.contains(DescriptorFlags::WRITE)
            || create.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE);
        // Without WRITE the host opens for reading too, also when it creates.
        let reads =
            flags.contains(DescriptorFlags::READ) || !flags.contains(DescriptorFlags::WRITE);
        if !is_dir && writes {
            self.check(Access::Write, &place.real)?;
        }
        if !is_dir && reads {
            self.check(Access::Read, &place.real)?;
        }
        let opened = self
            .inner
            .open_at(
                same(&place.dir),
                PathFlags::empty(),
                place.name.clone(),
                create,
                flags,
            )
            .await?;
        let real = self.real_path_of(&opened)?;
        if real != place.real {
            self.inner.table.delete(opened)?;
            return Err(self.deny(
                Access::Either,
                place.real.as_str(),
                "it was exchanged while it was opened",
            ));
        }
        if let Descriptor::File(file) = self.inner.table.get_mut(&opened)? {
            file.perms = if writes {
                FsPerms::ReadWrite
            } else {
                FsPerms::ReadOnly
            };
        }
        Ok(opened)
    }
}

impl Files<'_> {
    fn check_size(&self, size: Filesize) -> FsResult<()> {
        if size > self.world.file_bytes {
            return Err(ErrorCode::FileTooLarge.into());
        }
        Ok(())
    }

    /// Ends a stream where the file would grow too large.
    fn cap(
        &mut self,
        stream: Resource<DynOutputStream>,
        room: Room,
    ) -> FsResult<Resource<DynOutputStream>> {
        let inner = self.inner.table.delete(stream)?;
        let capped: DynOutputStream = Box::new(Capped { inner, room });
        Ok(self.inner.table.push(capped)?)
    }
}

impl HostDescriptor for Files<'_> {
    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        create: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW);
        let place = self.locate(&fd, &path, follow, Access::Either).await?;
        let opened = self.open_place(&place, create, flags).await;
        self.release(place)?;
        opened
    }

    async fn stat_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        let place = self.locate(&fd, &path, follow, Access::Either).await?;
        let stat = self
            .inner
            .stat_at(same(&place.dir), PathFlags::empty(), place.name.clone())
            .await;
        self.release(place)?;
        stat
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        let place = self.locate(&fd, &path, follow, Access::Either).await?;
        let hash = self
            .inner
            .metadata_hash_at(same(&place.dir), PathFlags::empty(), place.name.clone())
            .await;
        self.release(place)?;
        hash
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        let place = self.locate(&fd, &path, follow, Access::Write).await?;
        let set = self
            .inner
            .set_times_at(
                same(&place.dir),
                PathFlags::empty(),
                place.name.clone(),
                accessed,
                modified,
            )
            .await;
        self.release(place)?;
        set
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let path = path.trim_end_matches('/').to_owned();
        let place = self.locate(&fd, &path, false, Access::Write).await?;
        let made = self
            .inner
            .create_directory_at(same(&place.dir), place.name.clone())
            .await;
        self.release(place)?;
        made
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let path = path.trim_end_matches('/').to_owned();
        let place = self.locate(&fd, &path, false, Access::Write).await?;
        let removed = self
            .inner
            .remove_directory_at(same(&place.dir), place.name.clone())
            .await;
        self.release(place)?;
        removed
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let place = self.locate(&fd, &path, false, Access::Write).await?;
        let removed = self
            .inner
            .unlink_file_at(same(&place.dir), place.name.clone())
            .await;
        self.release(place)?;
        removed
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        let place = self.locate(&fd, &path, false, Access::Read).await?;
        let target = self
            .inner
            .readlink_at(same(&place.dir), place.name.clone())
            .await;
        self.release(place)?;
        target
    }

    async fn symlink_at(&mut self, fd: Fd, target: String, path: String) -> FsResult<()> {
        let place = self.locate(&fd, &path, false, Access::Write).await?;
        // A link that leads outside would wait for a host program to follow it.
        let made = match self.link_stays_inside(&place, &target) {
            Ok(()) => {
                self.inner
                    .symlink_at(same(&place.dir), target, place.name.clone())
                    .await
            }
            Err(error) => Err(error),
        };
        self.release(place)?;
        made
    }

    async fn rename_at(&mut self, fd: Fd, old: String, new_fd: Fd, new: String) -> FsResult<()> {
        let (old, new) = (
            old.trim_end_matches('/').to_owned(),
            new.trim_end_matches('/').to_owned(),
        );
        let from = self.locate(&fd, &old, false, Access::Write).await?;
        let to = match self.locate(&new_fd, &new, false, Access::Write).await {
            Ok(to) => to,
            Err(error) => {
                self.release(from)?;
                return Err(error);
            }
        };
        let moved = match self.check_move(&from.real, &to.real) {
            Ok(()) => {
                self.inner
                    .rename_at(
                        same(&from.dir),
                        from.name.clone(),
                        same(&to.dir),
                        to.name.clone(),
                    )
                    .await
            }
            Err(error) => Err(error),
        };
        self.release(from)?;
        self.release(to)?;
        moved
    }

    async fn link_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        old: String,
        new_fd: Fd,
        new: String,
    ) -> FsResult<()> {
        if flags.contains(PathFlags::SYMLINK_FOLLOW) {
            return Err(ErrorCode::Invalid.into());
        }
        let from = self.locate(&fd, &old, false, Access::Write).await?;
        let to = match self.locate(&new_fd, &new, false, Access::Write).await {
            Ok(to) => to,
            Err(error) => {
                self.release(from)?;
                return Err(error);
            }
        };
        let linked = match self.check_move(&from.real, &to.real) {
            Ok(()) => {
                self.inner
                    .link_at(
                        same(&from.dir),
                        PathFlags::empty(),
                        from.name.clone(),
                        same(&to.dir),
                        to.name.clone(),
                    )
                    .await
            }
            Err(error) => Err(error),
        };
        self.release(from)?;
        self.release(to)?;
        linked
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<DirectoryEntryStream>> {
        let real = self.real_path_of(&fd)?;
        self.check(Access::Read, &real)?;
        self.inner.read_directory(fd).await
    }

    async fn set_times(
        &mut self,
        fd: Fd,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let real = self.real_path_of(&fd)?;
        self.check(Access::Write, &real)?;
        self.inner.set_times(fd, accessed, modified).await
    }

    async fn set_size(&mut self, fd: Fd, size: Filesize) -> FsResult<()> {
        self.check_size(size)?;
        self.inner.set_size(fd, size).await
    }

    // What follows works on a descriptor whose permissions were settled when it was opened.

    async fn advise(
        &mut self,
        fd: Fd,
        offset: Filesize,
        len: Filesize,
        advice: Advice,
    ) -> FsResult<()> {
        self.inner.advise(fd, offset, len, advice).await
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        self.inner.sync_data(fd).await
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        self.inner.sync(fd).await
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        self.inner.get_flags(fd).await
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        self.inner.get_type(fd).await
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        self.inner.stat(fd).await
    }

    async fn read(&mut self, fd: Fd, len: Filesize, offset: Filesize) -> FsResult<(Vec<u8>, bool)> {
        self.inner.read(fd, len, offset).await
    }

    async fn write(&mut self, fd: Fd, bytes: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        let len = Filesize::try_from(bytes.len()).unwrap_or(Filesize::MAX);
        self.check_size(offset.saturating_add(len))?;
        self.inner.write(fd, bytes, offset).await
    }

    fn read_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        self.inner.read_via_stream(fd, offset)
    }

    fn write_via_stream(
        &mut self,
        fd: Fd,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        let stream = self.inner.write_via_stream(fd, offset)?;
        let left = self.world.file_bytes.saturating_sub(offset);
        self.cap(stream, Room::Left(left))
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        let Descriptor::File(file) = self.inner.table.get(&fd)? else {
            return Err(ErrorCode::BadDescriptor.into());
        };
        let room = Room::UpTo(Arc::clone(&file.file), self.world.file_bytes);
        let stream = self.inner.append_via_stream(fd)?;
        self.cap(stream, room)
    }

    async fn is_same_object(&mut self, a: Fd, b: Fd) -> wasmtime::Result<bool> {
        self.inner.is_same_object(a, b).await
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        self.inner.metadata_hash(fd).await
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        HostDescriptor::drop(&mut self.inner, fd)
    }
}

impl HostDirectoryEntryStream for Files<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        self.inner.read_directory_entry(stream).await
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        HostDirectoryEntryStream::drop(&mut self.inner, stream)
    }
}
